"""Second stream: bronze_messages → silver tables, quarantine and the list of dropped messages, in one `foreachBatch`.

Each table's append carries its own transaction id (stream : checkpoint : table, batch), so that a batch delivered again
after a crash writes only what is missing.
"""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations import contracts
from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.ingest.reasons import DropReason
from jobs.ingest.stream import dedupe, events, records, tokenize
from jobs.lake.frames import append_once, read_frame
from jobs.privacy import vault

log = logging.getLogger(__name__)
QUERY = "silver"


@dataclass
class Judged:
    """One batch, judged: accepted events and records (unique), and everything that is not accepted, each once."""

    accepted_events: DataFrame
    accepted_records: DataFrame
    identifiers: DataFrame
    consents: DataFrame
    quarantined: DataFrame
    dropped: DataFrame


class SilverBatch:
    """Processes micro-batches; holds what does not change between them."""

    def __init__(self, session: SparkSession, settings: Settings, key: bytes) -> None:
        self.session = session
        self.settings = settings
        self.key = key
        self.sources = contracts.sources()
        self.events = contracts.events()
        self.work = settings.home / "spark" / "batch"

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Judges and writes one micro-batch; safe to repeat."""
        shutil.rmtree(self.work, ignore_errors=True)  # what a killed batch left behind
        checkpoint = checkpoint_id(self.settings)
        app_id = f"{QUERY}:{checkpoint}"
        mark = f"{checkpoint}:{batch_id}"
        log.info("silver batch %d: judging", batch_id)
        kept: list[DataFrame] = []
        try:
            judged = self._judge(batch, mark, kept)
            self._keep_identifiers(judged)
            for name, frame in _outputs(judged):
                append_once(
                    frame.withColumn("ingest_batch", F.lit(mark)), self.settings, name, app_id=app_id, version=batch_id
                )
        finally:
            for frame in kept:
                frame.unpersist()
            shutil.rmtree(self.work, ignore_errors=True)
        log.info("silver batch %d: written", batch_id)

    def _judge(self, batch: DataFrame, mark: str, kept: list[DataFrame]) -> Judged:
        ours = [s for s in self.sources.values() if s.kind == "records"]
        is_record = F.col("source").isin(*[s.name for s in ours])
        event_rows = events.judge_events(batch.where(~is_record), self.sources, self.events, self.key)
        all_events = self._staged(event_rows.select(*EVENT_COLUMNS), "events")
        all_records = self._staged(records.judge_records(batch.where(is_record), ours, self.key), "records")
        unique_events, repeated_events = self._unique(all_events, "silver_events", mark, kept)
        unique_records, repeated_records = self._unique(all_records, "silver_records", mark, kept)
        of_events = events.to_identifiers(unique_events.drop("properties", "context", "consent", "payload"))
        of_records = records.record_identifiers(unique_records)
        return Judged(
            accepted_events=unique_events.where(~events.is_suppressed()),
            accepted_records=unique_records,
            identifiers=_union([of_events.where(~events.is_suppressed()), of_records], "silver_identifiers"),
            consents=_union(
                [_latest_statement(events.to_consents(of_events)), records.record_consents(of_records)], "consents"
            ),
            quarantined=_union(
                [f.where(F.size("errors") > 0) for f in (all_events, all_records)], "quarantine_messages"
            ),
            dropped=_union(
                [
                    _dropped(repeated_events, "duplicate", DropReason.REPEATED_EVENT_ID),
                    _dropped(repeated_records, "duplicate", DropReason.REPEATED_RECORD),
                    _dropped(
                        unique_events.where(events.is_suppressed()), "suppressed", DropReason.NO_ANALYTICS_CONSENT
                    ),
                ],
                "ops_dropped_messages",
            ),
        )

    def _staged(self, frame: DataFrame, name: str) -> DataFrame:
        """The judged rows, computed once, through a file: what follows plans against six columns of Parquet and not
        against the whole judgement again, and holds nothing in memory. Closed to others, gone when the batch ends."""
        self.work.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = str(self.work / name)
        _without_good_payloads(frame).write.mode("overwrite").parquet(path)
        return self.session.read.schema(frame.schema).parquet(path)

    def _unique(self, judged: DataFrame, table: str, mark: str, kept: list[DataFrame]) -> tuple[DataFrame, DataFrame]:
        """Valid rows split in first sightings and repeats."""
        valid = judged.where(F.size("errors") == 0)
        repeated = F.broadcast(_keep(self._repeated(valid, table, mark), kept))
        return valid.join(repeated, "message_id", "left_anti"), valid.join(repeated, "message_id", "left_semi")

    def _repeated(self, valid: DataFrame, table: str, mark: str) -> DataFrame:
        """message_ids of repeats; the table is read within 30 days around the batch, so that files are pruned."""
        within = dedupe.repeated_in_batch(valid)
        held = read_frame(self.session, self.settings, table)
        if table == "silver_events":
            bounds = valid.agg(F.min("event_date").alias("low"), F.max("event_date").alias("high")).first()
            if bounds is None or bounds["low"] is None:
                return within
            days = dedupe.WINDOW_DAYS
            low, high = F.date_sub(F.lit(bounds["low"]), days), F.date_add(F.lit(bounds["high"]), days)
            held = held.where(F.col("event_date").between(low, high))
        id_column = "event_id" if table == "silver_events" else "record_id"
        held = held.select("source", F.col(id_column).alias("event_id"), "ingest_batch")
        return within.union(dedupe.repeated_in_table(valid, held, mark)).distinct()

    def _keep_identifiers(self, judged: Judged) -> None:
        """Stores token → value of every e-mail and phone that silver is about to refer to; before silver, not after."""
        for kind in events.TOKENISED:
            columns = [F.col(f"{kind}_token").alias("token"), tokenize.normalised(kind, F.col(kind)).alias("value")]
            both = judged.accepted_events.select(*columns).union(judged.accepted_records.select(*columns))
            pairs = both.where("token is not null").distinct().toArrow().to_pydict()
            vault.store(self.settings, zip(pairs["token"], pairs["value"], strict=True))


EVENT_COLUMNS = (
    "message_id", "source", "is_simulated", "origin", "receive_position", "received_at", "payload", "errors",
    "contract_version", "event_id", "type", "name", "occurred_at", "effective_at", "is_time_suspect", "user_id",
    "anonymous_id", "loyalty_id", "email", "phone", "email_token", "phone_token", "consent", "context", "properties",
    "event_date", "consent_categoryPreferences",
)  # fmt: skip


def _without_good_payloads(frame: DataFrame) -> DataFrame:
    """Only quarantine needs the raw text; keeping it for every row would double what is held in memory."""
    return frame.withColumn("payload", F.when(F.size("errors") > 0, F.col("payload")))


def _keep(frame: DataFrame, kept: list[DataFrame]) -> DataFrame:
    kept.append(frame.persist(StorageLevel.MEMORY_AND_DISK))
    return frame


def _union(frames: list[DataFrame], table: str) -> DataFrame:
    """The frames' rows, each cut to those columns of the table that it has."""
    names = lake_table(table).contract.column_names
    extra = {"ops_dropped_messages": (), "quarantine_messages": ("errors",)}.get(table, ())
    cut = [f.select(*[c for c in (*names, *extra) if c in f.columns]) for f in frames]
    return reduce(lambda a, b: a.unionByName(b), cut)


def _latest_statement(consents: DataFrame) -> DataFrame:
    """The last statement of a day per identifier, purpose and status: a page view a second is no news."""
    key = ["source", "identifier_type", "identifier_value", "purpose", "status", "event_date"]
    columns = ["event_id", "is_simulated", "effective_at", "received_at", "receive_position", "name"]
    last = F.max_by(F.struct(*columns), F.struct("effective_at", "receive_position")).alias("last")
    return consents.groupBy(*key).agg(last).select(*key, "last.*")


def _dropped(frame: DataFrame, outcome: str, reason: DropReason) -> DataFrame:
    return frame.select("message_id", "source", "event_id", "received_at").withColumns(
        {"outcome": F.lit(outcome), "reason": F.lit(reason.value), "received_date": F.to_date("received_at")}
    )


def _outputs(judged: Judged) -> Iterator[tuple[str, DataFrame]]:
    """(table, frame) in the order of writing."""
    yield "silver_events", judged.accepted_events
    yield "silver_records", judged.accepted_records
    yield "silver_identifiers", judged.identifiers
    consent_id = F.sha2(
        F.concat_ws("\x1f", "source", "event_id", "identifier_type", "identifier_value", "purpose"), 256
    )
    yield "consents", judged.consents.withColumn("consent_id", consent_id)
    codes = F.array_distinct(F.transform("errors", lambda error: F.split(error, ":")[0]))
    yield (
        "quarantine_messages",
        judged.quarantined.withColumns(
            {
                "reason_codes": codes,
                "reason_details": F.col("errors"),
                "replay_state": F.lit("pending"),
                "quarantined_date": F.to_date("received_at"),
            }
        ),
    )
    yield "ops_dropped_messages", judged.dropped


def checkpoint_id(settings: Settings) -> str:
    """The checkpoint's own uuid: a new checkpoint starts its batch ids at 0 and must not look like the old one."""
    metadata = settings.checkpoints / QUERY / "metadata"
    return str(json.loads(metadata.read_text(encoding="utf-8"))["id"])


def run_silver(session: SparkSession, settings: Settings, key: bytes) -> None:
    """Processes all of bronze that is not processed yet, then stops."""
    stream = (
        session.readStream.format("delta")
        .option("maxBytesPerTrigger", settings.spark_max_file_bytes)
        .load(str(lake_table("bronze_messages").path(settings)))
    )
    query = (
        stream.writeStream.queryName(QUERY)
        .foreachBatch(SilverBatch(session, settings, key))
        .option("checkpointLocation", str(settings.checkpoints / QUERY))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
