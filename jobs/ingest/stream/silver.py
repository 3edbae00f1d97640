"""Second stream: bronze_messages → silver tables, quarantine and the list of dropped messages, in one `foreachBatch`.

Each table's append carries its own transaction id (stream : checkpoint : table, batch), so that a batch delivered again
after a crash writes only what is missing.
"""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial, reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.catalog import lake_table
from jobs.core.failpoints import Failpoint, Sabotage, fail_at, fail_when_files_appear, sabotaged
from jobs.core.settings import Settings
from jobs.ingest import outliers
from jobs.ingest.stream import consents, events, records, validate, vaulted
from jobs.ingest.stream.in_force import ContractHistory, InForce, last_begun
from jobs.ingest.stream.known import KnownEvents
from jobs.ingest.stream.outputs import EVENT_COLUMNS, Judged
from jobs.ingest.stream.restart import not_yet_placed
from jobs.lake.checkpoints import checkpoint_id
from jobs.lake.frames import append_once
from jobs.privacy import vault
from jobs.privacy.keys import TokenKey

log = logging.getLogger(__name__)
QUERY = "silver"
ACCEPTED = ("silver_events", "silver_records", "silver_identifiers", "consents")
SET_ASIDE = ("quarantine_messages", "ops_dropped_messages")
STAGING = {"compression": "none", "parquet.enable.dictionary": "false"}


class SilverBatch:
    """Processes micro-batches; holds what does not change between them, and the index of known events."""

    def __init__(self, session: SparkSession, settings: Settings, key: TokenKey) -> None:
        self.session = session
        self.settings = settings
        self.key = key
        self.contracts = ContractHistory(settings)
        self.begun = last_begun(settings)
        self.work = settings.home / "spark" / "batch"
        self.known = KnownEvents(session, settings)
        self.threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="silver")
        self.rules: dict[tuple[int, frozenset[str]], validate.Rules] = {}
        self.late: list[Callable[[], None]] = []

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Judges and writes one micro-batch; safe to repeat."""
        if batch_id > 0:
            fail_at(self.settings, Failpoint.AFTER_COMMIT)
        fail_at(self.settings, Failpoint.AFTER_OFFSETS_BEFORE_WORK)
        self.write_late()
        checkpoint = checkpoint_id(self.settings)
        log.info("silver batch %d: judging", batch_id)
        try:
            rules = self.contracts.of_batch(checkpoint, batch_id, is_begun=batch_id <= self.begun)
            judged = self.judge(not_yet_placed(self.session, self.settings, batch, checkpoint), rules)
            self.write(judged, app_id=f"{QUERY}:{checkpoint}", version=batch_id, mark=f"{checkpoint}:{batch_id}")
        finally:
            self.forget()
        fail_at(self.settings, Failpoint.AFTER_QUARANTINE_BEFORE_SPARK_COMMIT)
        log.info("silver batch %d: written", batch_id)

    def judge(self, batch: DataFrame, rules: InForce | None = None) -> Judged:
        """Bronze-shaped rows → the same rows judged, through files that are gone when the batch ends.

        Only the contracts of the sources in the batch take part: most batches hold few sources, and a short judgement is
        planned, compiled and run faster. `rules`: the contracts in force; without, those of today.
        """
        rules = rules or self.contracts.today
        shutil.rmtree(self.work, ignore_errors=True)  # what a killed batch left behind
        present = self._present(batch)
        records_of = [s for name, s in rules.sources.items() if name in present and s.kind == "records"]
        sources = {name: s for name, s in rules.sources.items() if name in present and s.kind == "events"}
        is_record = F.col("source").isin(*[s.name for s in records_of]) if records_of else F.lit(False)
        if all(present.values()):
            batch = batch.withColumn("is_checked", F.lit(True))  # the stream's own look at the text is left out
        stages: dict[str, DataFrame] = {}
        if len(present) > len(records_of):
            stages["events"] = self._judged_events(batch.where(~is_record), replace(rules, sources=sources))
        if records_of:
            stages["records"] = records.judge_records(batch.where(is_record), records_of, self.key)
        staged = dict(self.threads.map(lambda name: (name, self._staged(stages[name], name)), stages))
        return self.known.judged(staged.get("events"), staged.get("records"), batch)

    def _present(self, batch: DataFrame) -> dict[str, bool]:
        """The sources in the batch, and whether a door has looked at all of their texts."""
        checked = F.min(F.coalesce("is_checked", F.lit(False))).alias("checked")
        found = batch.groupBy("source").agg(checked).toArrow().to_pydict()
        return dict(zip(found["source"], found["checked"], strict=True))

    def _judged_events(self, rows: DataFrame, present: InForce) -> DataFrame:
        bounds = outliers.read_bounds(self.settings, present.events.values())
        kept = (present.since, frozenset(present.sources))
        if kept not in self.rules:
            self.rules[kept] = validate.rules_of(present.sources, present.events)
        judged = events.judge_events(
            rows, present.sources, present.events, self.key, bounds=bounds, rules=self.rules[kept]
        )
        judged = judged.withColumn("is_suppressed", consents.is_suppressed())
        return judged.select(*EVENT_COLUMNS, "endpoint", "receipt", "payload_error")

    def _staged(self, frame: DataFrame, name: str) -> DataFrame:
        """The judged rows, computed once, through a file: what follows plans against a few columns of Parquet and not
        against the whole judgement again, and holds nothing in memory. Closed to others, gone when the batch ends; plain
        encoding, since it is read within seconds."""
        self.work.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = str(self.work / name)
        writer = _without_good_payloads(frame).write.mode("overwrite").options(**STAGING)
        writer.parquet(path)
        return self.session.read.schema(frame.schema).parquet(path)

    def write(self, judged: Judged, *, app_id: str, version: int, mark: str) -> None:
        """Appends the batch to all tables, what is accepted first; each table skips what it has seen."""
        self.keep_identifiers(judged)
        tables = {name: frame for name, frame in judged.tables().items() if name not in judged.empty}
        marked = {name: frame.withColumn("ingest_batch", F.lit(mark)) for name, frame in tables.items()}
        accepted, set_aside = ([name for name in names if name in marked] for names in (ACCEPTED, SET_ASIDE))
        append = partial(
            self._append, app_id=app_id, version=version, is_small=judged.rows <= self.settings.small_batch_rows
        )
        list(self.threads.map(lambda name: append(marked[name], name), accepted))
        self.known.remember()
        fail_at(self.settings, Failpoint.AFTER_SILVER_BEFORE_QUARANTINE)
        if sabotaged(self.settings, Sabotage.QUARANTINE_AFTER_COMMIT):
            held = {name: self.session.createDataFrame(marked[name].toArrow()) for name in set_aside}
            self.late = [partial(append, frame, name) for name, frame in held.items()]
            return
        list(self.threads.map(lambda name: append(marked[name], name), set_aside))

    def _append(self, frame: DataFrame, name: str, *, app_id: str, version: int, is_small: bool) -> None:
        unguarded = sabotaged(self.settings, Sabotage.NO_VERSION_CHECK)
        if name == "silver_events":
            fail_when_files_appear(self.settings, lake_table(name).path(self.settings))
        transaction = None if unguarded else f"{app_id}:{name}"
        append_once(frame, self.settings, name, app_id=transaction, version=version, is_small=is_small)

    def write_late(self) -> None:
        """Only with the sabotage QUARANTINE_AFTER_COMMIT: what a batch held back until Spark had committed it."""
        for append in self.late:
            append()
        self.late = []

    def forget(self) -> None:
        """Frees what the batch held in memory and on disk."""
        self.known.forget_batch()
        shutil.rmtree(self.work, ignore_errors=True)

    def keep_identifiers(self, judged: Judged) -> None:
        """Stores token → value of everything that silver is about to refer to by token; before silver, not after. Suppressed
        events are among it: what they say of consent is kept, and must survive a rotation of the key."""
        if not judged.has_contacts:
            return
        pairs = [vaulted.pairs(frame) for frame in (*judged.unique_events(), *judged.accepted_records())]
        found = reduce(lambda a, b: a.union(b), pairs).distinct().toArrow().to_pydict()
        vault.store(self.settings, zip(found["token"], found["value"], strict=True))


def _without_good_payloads(frame: DataFrame) -> DataFrame:
    """Only quarantine needs the raw text; keeping it for every row would double what is written."""
    return frame.withColumn("payload", F.when(F.size("errors") > 0, F.col("payload")))


def start_silver(
    session: SparkSession, settings: Settings, key: TokenKey, *, every: str | None = None
) -> StreamingQuery:
    """Starts the stream: all of bronze that is there and then an end, or with `every` a batch at that pace for ever."""
    stream = (
        session.readStream.format("delta")
        .option("maxBytesPerTrigger", settings.spark_max_file_bytes)
        # Retention takes whole days out of bronze; a commit that removes and adds rows would still stop the stream.
        .option("ignoreDeletes", "true")
        .load(str(lake_table("bronze_messages").path(settings)))
    )
    if sabotaged(settings, Sabotage.EVENT_TIME_WATERMARK):
        claimed = F.coalesce(F.try_to_timestamp(F.get_json_object("payload", "$.timestamp")), F.col("received_at"))
        stream = stream.withColumn("claimed_at", claimed).withWatermark("claimed_at", "1 hour")
        stream = stream.dropDuplicatesWithinWatermark(["message_id"]).drop("claimed_at")
    writer = (
        stream.writeStream.queryName(QUERY)
        .foreachBatch(SilverBatch(session, settings, key))
        .option("checkpointLocation", str(settings.checkpoints / QUERY))
    )
    return (writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)).start()


def run_silver(session: SparkSession, settings: Settings, key: TokenKey) -> None:
    """Processes all of bronze that is not processed yet, then stops."""
    start_silver(session, settings, key).awaitTermination()
    fail_at(settings, Failpoint.AFTER_COMMIT)
