"""Second stream: bronze_messages → silver tables, quarantine and the list of dropped messages, in one `foreachBatch`.

Each table's append carries its own transaction id (stream : checkpoint : table, batch), so that a batch delivered again
after a crash writes only what is missing.
"""

import logging
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.catalog import lake_table
from jobs.core.failpoints import Failpoint, Sabotage, fail_at, fail_when_files_appear, sabotaged
from jobs.core.settings import Settings
from jobs.ingest import outliers
from jobs.ingest.outliers import Bound
from jobs.ingest.stream import events, records
from jobs.ingest.stream.big_batch import place_big, staged
from jobs.ingest.stream.in_force import ContractHistory, InForce, last_begun
from jobs.ingest.stream.known import KnownEvents
from jobs.ingest.stream.outputs import EVENT_COLUMNS, Judged
from jobs.ingest.stream.restart import not_yet_placed
from jobs.ingest.stream.small_batch import characters, is_small, place_small
from jobs.lake.checkpoints import checkpoint_id
from jobs.lake.frames import Rows, append_once, to_arrow
from jobs.privacy import persons
from jobs.privacy.keys import TokenKey

log = logging.getLogger(__name__)
QUERY = "silver"
ACCEPTED = ("silver_events", "silver_records", "silver_identifiers", "consents")
SET_ASIDE = ("quarantine_messages", "ops_dropped_messages")


@dataclass(frozen=True)
class Present:
    """What a batch holds: its sources, whether a door has looked at all texts, and how much there is."""

    sources: frozenset[str]
    is_checked: bool
    rows: int
    characters: int


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
        self.judgements: dict[tuple[int, frozenset[str], tuple[Bound, ...]], events.Judgement] = {}
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
        """Bronze-shaped rows → what the tables get: in memory when they are few, else by Spark and through files that are
        gone when the batch ends.

        Only the contracts of the sources in the batch take part. `rules`: the contracts in force; without, those of today.
        """
        rules = rules or self.contracts.today
        shutil.rmtree(self.work, ignore_errors=True)  # what a killed batch left behind
        present = self._present(batch)
        if present.is_checked:
            batch = batch.withColumn("is_checked", F.lit(True))  # the stream's own look at the text is left out
        stages = self._stages(batch, rules, present)

        def payloads(message_ids: list[str]) -> DataFrame:
            return batch.where(F.col("message_id").isin(message_ids))

        if is_small(self.settings, present.rows, present.characters):
            found = dict(self.threads.map(lambda name: (name, stages[name].toArrow()), stages))
            return place_small(self.known, self.settings, found.get("events"), found.get("records"), payloads)
        files = dict(
            self.threads.map(lambda name: (name, staged(self.session, stages[name], self.work / name)), stages)
        )
        return place_big(self.known, self.settings, files.get("events"), files.get("records"), payloads)

    def _stages(self, batch: DataFrame, rules: InForce, present: Present) -> dict[str, DataFrame]:
        """The judgement of events, of records, or both; nothing is computed yet."""
        records_of = [s for name, s in rules.sources.items() if name in present.sources and s.kind == "records"]
        sources = {n: s for n, s in rules.sources.items() if n in present.sources and s.kind == "events"}
        is_record = F.col("source").isin(*[s.name for s in records_of]) if records_of else F.lit(False)
        stages: dict[str, DataFrame] = {}
        if len(present.sources) > len(records_of):
            stages["events"] = self._judged_events(batch.where(~is_record), replace(rules, sources=sources))
        if records_of:
            stages["records"] = records.judge_records(batch.where(is_record), records_of, self.key)
        return {name: _without_good_payloads(frame) for name, frame in stages.items()}

    def _present(self, batch: DataFrame) -> Present:
        columns = {
            "checked": F.min(F.coalesce("is_checked", F.lit(False))),
            "rows": F.count("*"),
            "characters": characters(),
        }
        found = (
            batch.groupBy("source").agg(*[value.alias(name) for name, value in columns.items()]).toArrow().to_pydict()
        )
        return Present(frozenset(found["source"]), all(found["checked"]), sum(found["rows"]), sum(found["characters"]))

    def _judged_events(self, rows: DataFrame, present: InForce) -> DataFrame:
        bounds = tuple(outliers.read_bounds(self.settings, present.events.values()))
        kept = (present.since, frozenset(present.sources), bounds)
        if kept not in self.judgements:
            current = {k: v for k, v in self.judgements.items() if (k[0], k[2]) == (kept[0], kept[2])}
            self.judgements = current  # those of other contracts or of yesterday's usual values do not come back
            self.judgements[kept] = events.judgement_of(present.sources, present.events, self.key, bounds)
        return events.judge_events(rows, self.judgements[kept], self.key).select(*EVENT_COLUMNS)

    def write(self, judged: Judged, *, app_id: str, version: int, mark: str) -> None:
        """Appends the batch to all tables, what is accepted first; each table skips what it has seen."""
        self.keep_identifiers(judged)
        tables = judged.tables(mark)
        accepted, set_aside = ([name for name in names if name in tables] for names in (ACCEPTED, SET_ASIDE))
        append = partial(self._append, app_id=app_id, version=version)
        list(self.threads.map(lambda name: append(tables[name], name), accepted))
        self.known.remember()
        fail_at(self.settings, Failpoint.AFTER_SILVER_BEFORE_QUARANTINE)
        if sabotaged(self.settings, Sabotage.QUARANTINE_AFTER_COMMIT):
            self.late = [partial(append, to_arrow(tables[name], name), name) for name in set_aside]
            return
        list(self.threads.map(lambda name: append(tables[name], name), set_aside))

    def _append(self, rows: Rows, name: str, *, app_id: str, version: int) -> None:
        unguarded = sabotaged(self.settings, Sabotage.NO_VERSION_CHECK)
        if name == "silver_events":
            fail_when_files_appear(self.settings, lake_table(name).path(self.settings))
        transaction = None if unguarded else f"{app_id}:{name}"
        append_once(rows, self.settings, name, app_id=transaction, version=version)

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
        """Stores token → value of everything that silver is about to refer to by token, and what is said of people; before
        silver, not after."""
        persons.keep(self.settings, judged.vaulted())


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
