"""A batch that is placed by Spark: judged once, through files, and looked at a few columns at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.stream import dedupe
from jobs.ingest.stream.key_index import EPOCH, Days, Hashes
from jobs.ingest.stream.known import KnownEvents
from jobs.ingest.stream.outputs import SparkJudged
from jobs.lake.frames import read_frame

STAGING = {"compression": "none", "parquet.enable.dictionary": "false"}
LIST_LIMIT = 1_000  # more hashes than this travel as a frame, not as literals
Payloads = Callable[[list[str]], DataFrame]


@dataclass(frozen=True)
class Census:
    """What a batch of judged events holds: keys and days of the valid rows, and counts of the kinds."""

    hashes: Hashes
    days: Days
    invalid: int
    suppressed: int
    stating: int
    named: int

    def nothing_for(self, verdicts: pa.Table) -> frozenset[str]:
        """The tables that a batch of events alone has no row for: a commit less each."""
        conflicts = len(conflicting(verdicts))
        rows = {
            "consents": self.stating,
            "quarantine_messages": self.invalid + conflicts,
            "ops_dropped_messages": self.suppressed + len(verdicts) - conflicts,
            "silver_events": len(self.hashes),
            "silver_identifiers": len(self.hashes),
        }
        return frozenset(name for name, count in rows.items() if not count)


def conflicting(verdicts: pa.Table) -> list[str]:
    """The messages that claim the id of another event."""
    ids: list[str] = verdicts.filter(pc.field("verdict") == dedupe.CONFLICT).column("message_id").to_pylist()
    return ids


def staged(session: SparkSession, frame: DataFrame, path: Path) -> DataFrame:
    """The judged rows, computed once, through a file: what follows plans against a few columns of Parquet and not
    against the whole judgement again, and holds nothing in memory. Closed to others, gone when the batch ends; plain
    encoding, since it is read within seconds."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    frame.write.options(**STAGING).parquet(str(path))
    return session.read.schema(frame.schema).parquet(str(path))


def place_big(
    known: KnownEvents, settings: Settings, events: DataFrame | None, records: DataFrame | None, payloads: Payloads
) -> SparkJudged:
    """Staged rows → the tables they become; `payloads` brings back the texts of those that turn out to be conflicts."""
    session = known.session
    if records is not None:
        held = read_frame(session, settings, "silver_records").withColumns(
            {"event_id": F.col("record_id"), "body_hash": F.lit("")}
        )
        told = dedupe.verdicts(records.where(F.size("errors") == 0), held).toArrow()
        records = _with_verdicts(session, records, told)
    if events is None:
        return SparkJudged(None, records)
    census, valid = _census(events), events.where(F.size("errors") == 0)
    verdicts = known.verdicts(census.hashes, census.days, few=partial(_among, session, valid), every=lambda: valid)
    judged = _with_verdicts(session, events, verdicts)
    if conflicts := conflicting(verdicts):
        judged = _with_payloads(judged, payloads(conflicts))
    if records is not None:
        return SparkJudged(judged, records)
    return SparkJudged(judged, None, census.nothing_for(verdicts), has_contacts=census.named > 0)


def _census(rows: DataFrame) -> Census:
    """One look at the staged rows: the keys of the valid ones, and how many of each kind there are."""
    is_valid = F.size("errors") == 0
    columns = {
        "hash": F.col("key_hash"),
        "day": F.coalesce(F.datediff("event_date", F.lit(EPOCH)), F.lit(0)),
        "valid": is_valid,
        "suppressed": is_valid & F.col("is_suppressed"),
        "stating": is_valid & F.col("statements").isNotNull(),
        "named": is_valid & F.col("vaulted").isNotNull(),
    }
    table = rows.select(*[value.alias(name) for name, value in columns.items()]).toArrow()
    valid = table.column("valid").to_numpy()
    counts = {name: pc.sum(table.column(name)).as_py() or 0 for name in ("suppressed", "stating", "named")}
    return Census(
        hashes=table.column("hash").to_numpy()[valid],
        days=table.column("day").to_numpy()[valid],
        invalid=int(len(valid) - np.count_nonzero(valid)),
        **counts,
    )


def _among(session: SparkSession, valid: DataFrame, hashes: Hashes) -> pa.Table:
    """The rows whose key has one of these hashes."""
    if len(hashes) <= LIST_LIMIT:
        found = valid.where(F.col("key_hash").isin(hashes.tolist()))
    else:
        wanted = session.createDataFrame(pa.table({"key_hash": hashes}))
        found = valid.join(F.broadcast(wanted), "key_hash", "left_semi")
    return found.select(*dedupe.NARROW).toArrow()


def _with_verdicts(session: SparkSession, rows: DataFrame, verdicts: pa.Table) -> DataFrame:
    """Few rows have a verdict: they are sent to all."""
    if not len(verdicts):
        return rows.withColumn("verdict", F.lit(None).cast("string"))
    return rows.join(F.broadcast(session.createDataFrame(verdicts)), "message_id", "left")


def _with_payloads(judged: DataFrame, texts: DataFrame) -> DataFrame:
    """Brings the raw text back for valid rows that go to quarantine after all."""
    kept = texts.select("message_id", F.col("payload").alias("conflict_payload"))
    joined = judged.join(F.broadcast(kept), "message_id", "left")
    return joined.withColumn("payload", F.coalesce("payload", "conflict_payload")).drop("conflict_payload")
