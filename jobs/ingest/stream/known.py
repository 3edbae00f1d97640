"""Which events of a batch are repeats: the small way by an index in memory, the big way by reading silver, equal in result."""

import logging
from dataclasses import dataclass, field
from datetime import timedelta
from functools import reduce

import numpy as np
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.stream import dedupe
from jobs.ingest.stream.consents import may_state
from jobs.ingest.stream.key_index import EPOCH, Days, Hashes, KeyIndex, repeated
from jobs.ingest.stream.local_verdicts import held_events, local_verdicts
from jobs.ingest.stream.outputs import Judged
from jobs.lake.delta import row_count
from jobs.lake.frames import read_frame

log = logging.getLogger(__name__)
VAULTED = ("email_token", "phone_token", "also_vaulted")
LIST_LIMIT = 1_000  # more hashes than this travel as a frame, not as literals


@dataclass(frozen=True)
class Census:
    """What a batch of judged events holds: keys and days of the valid rows, and counts of the kinds."""

    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.int64))
    days: Days = field(default_factory=lambda: np.empty(0, np.int32))
    invalid: int = 0
    suppressed: int = 0
    stating: int = 0
    named: int = 0

    @property
    def valid(self) -> int:
        """Rows without an error."""
        return len(self.hashes)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.valid + self.invalid


class KnownEvents:
    """Gives the rows of a batch their verdict; remembers the batch's keys once they are written."""

    def __init__(self, session: SparkSession, settings: Settings) -> None:
        self.session = session
        self.settings = settings
        self._index: KeyIndex | None = None
        self._batch: tuple[Hashes, Days] | None = None
        self._kept: list[DataFrame] = []
        self.conflicts: list[str] = []  # message_ids of this batch that claim the id of another event
        self.repeats = 0

    def judged(self, staged: DataFrame | None, staged_records: DataFrame | None, batch: DataFrame) -> Judged:
        """The judged rows with their verdicts; `batch` brings back the texts of those that turn out to be conflicts."""
        census = self._census(staged) if staged is not None else Census()
        events = None if staged is None else self.with_verdicts(staged, census)
        if events is not None and self.conflicts:
            events = _with_payloads(events, batch, self.conflicts)
        found = None if staged_records is None else self.with_record_verdicts(staged_records)
        if found is not None:
            return Judged(events, found, census.rows + (staged_records.count() if staged_records is not None else 0))
        return Judged(events, None, census.rows, self._nothing_for(census), has_contacts=census.named > 0)

    def _nothing_for(self, census: Census) -> frozenset[str]:
        """The tables that a batch of events alone has no row for: a commit less each."""
        rows = {
            "consents": census.stating,
            "quarantine_messages": census.invalid + len(self.conflicts),
            "ops_dropped_messages": census.suppressed + self.repeats,
            "silver_events": census.valid,
            "silver_identifiers": census.valid,
        }
        return frozenset(name for name, count in rows.items() if not count)

    def with_verdicts(self, staged: DataFrame, census: Census) -> DataFrame:
        """Judged events plus `verdict`: duplicate, conflict, or NULL for the first of its event and for invalid rows."""
        hashes, days = census.hashes, census.days
        self._batch = (hashes, days)
        nothing = staged.withColumn("verdict", F.lit(None).cast("string"))
        if not len(hashes):
            return nothing
        valid = staged.where(F.size("errors") == 0)
        index = self._opened()
        verdicts: DataFrame | None
        if index is None:
            held = read_frame(self.session, self.settings, "silver_events")
            batch_days = [EPOCH + timedelta(days=int(day)) for day in np.unique(days)]
            verdicts = self._keep(dedupe.verdicts(valid, held.where(dedupe.within_window(batch_days))))
            told = verdicts.toArrow()
        else:
            found, held_days = index.find(np.unique(hashes))
            suspects = np.union1d(found, repeated(hashes))
            if not len(suspects):
                return nothing
            candidates = self._among(valid, suspects).select(*dedupe.NARROW).toArrow()
            told = local_verdicts(candidates, held_events(self.settings, held_days, candidates))
            verdicts = self.session.createDataFrame(told) if len(told) else None
        self.conflicts = told.filter(pc.field("verdict") == dedupe.CONFLICT).column("message_id").to_pylist()
        self.repeats = len(told) - len(self.conflicts)
        return nothing if verdicts is None else _joined(staged, verdicts)

    def with_record_verdicts(self, staged: DataFrame) -> DataFrame:
        """The same for record versions: a version is its content, so that a repeat can only be a duplicate. Records are
        few and their table is narrow; it is read."""
        valid = staged.where(F.size("errors") == 0).withColumns({"body_hash": F.lit(""), "is_suppressed": F.lit(False)})
        held = read_frame(self.session, self.settings, "silver_records").withColumns(
            {"event_id": F.col("record_id"), "body_hash": F.lit("")}
        )
        return _joined(staged, self._keep(dedupe.verdicts(valid, held)))

    def _census(self, staged: DataFrame) -> Census:
        """One look at the staged rows: the keys of the valid ones, and how many of each kind there are."""
        is_valid = F.size("errors") == 0
        columns = {
            "hash": dedupe.key_hash(),
            "day": F.coalesce(F.datediff("event_date", F.lit(EPOCH)), F.lit(0)),
            "valid": is_valid,
            "suppressed": is_valid & F.col("is_suppressed"),
            "stating": is_valid & may_state(),
            "named": is_valid & reduce(lambda a, b: a | b, [F.col(name).isNotNull() for name in VAULTED]),
        }
        table = staged.select(*[value.alias(name) for name, value in columns.items()]).toArrow()
        valid = table.column("valid").to_numpy()
        counts = {name: pc.sum(table.column(name)).as_py() or 0 for name in ("suppressed", "stating", "named")}
        return Census(
            hashes=table.column("hash").to_numpy()[valid],
            days=table.column("day").to_numpy()[valid],
            invalid=int(len(valid) - valid.sum()),
            **counts,
        )

    def _keep(self, verdicts: DataFrame) -> DataFrame:
        self._kept.append(verdicts.persist())
        return self._kept[-1]

    def forget_batch(self) -> None:
        """Frees what the batch held."""
        for frame in self._kept:
            frame.unpersist()
        self._kept, self.conflicts, self.repeats, self._batch = [], [], 0, None

    def remember(self) -> None:
        """The batch is in silver: its keys count from now on."""
        if self._index is not None and self._batch is not None:
            self._index.add(*self._batch)
            self._batch = None

    def _keys(self, frame: DataFrame) -> tuple[Hashes, Days]:
        day = F.datediff("event_date", F.lit(EPOCH)).alias("day")
        table = frame.select(dedupe.key_hash().alias("hash"), day).toArrow()
        return table.column("hash").to_numpy(), table.column("day").to_numpy()

    def _opened(self) -> KeyIndex | None:
        """The index, filled from silver at first use; None when silver is too big for it."""
        limit = self.settings.dedupe_index_keys
        if self._index is None and row_count(self.settings, "silver_events") <= limit:
            self._index = KeyIndex(limit)
            self._index.add(*self._keys(read_frame(self.session, self.settings, "silver_events")))
        if self._index is not None and self._index.is_too_big:
            log.info("more than %d events are known: repeats are looked up in silver itself from now on", limit)
            self._index = None
        return self._index

    def _among(self, frame: DataFrame, hashes: Hashes) -> DataFrame:
        """Rows whose key has one of these hashes."""
        if len(hashes) <= LIST_LIMIT:
            return frame.where(dedupe.key_hash().isin(hashes.tolist()))
        import pyarrow as pa

        wanted = self.session.createDataFrame(pa.table({"hash": hashes}))
        return frame.withColumn("hash", dedupe.key_hash()).join(F.broadcast(wanted), "hash", "left_semi").drop("hash")


def _joined(staged: DataFrame, verdicts: DataFrame) -> DataFrame:
    """Few rows have a verdict: they are sent to all."""
    return staged.join(F.broadcast(verdicts), "message_id", "left")


def _with_payloads(judged: DataFrame, batch: DataFrame, message_ids: list[str]) -> DataFrame:
    """Brings the raw text back for valid rows that go to quarantine after all."""
    kept = batch.where(F.col("message_id").isin(message_ids))
    texts = kept.select("message_id", F.col("payload").alias("conflict_payload"))
    joined = judged.join(F.broadcast(texts), "message_id", "left")
    return joined.withColumn("payload", F.coalesce("payload", "conflict_payload")).drop("conflict_payload")
