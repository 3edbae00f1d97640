"""Which events of a batch are repeats: the small way by an index in memory, the big way by reading silver, equal in result."""

import logging
from datetime import timedelta

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.stream import dedupe
from jobs.ingest.stream.key_index import EPOCH, Days, Hashes, KeyIndex, repeated
from jobs.lake.delta import row_count
from jobs.lake.frames import read_frame

log = logging.getLogger(__name__)
LIST_LIMIT = 1_000  # more hashes than this travel as a frame, not as literals


class KnownEvents:
    """Gives the rows of a batch their verdict; remembers the batch's keys once they are written."""

    def __init__(self, session: SparkSession, settings: Settings) -> None:
        self.session = session
        self.settings = settings
        self._index: KeyIndex | None = None
        self._batch: tuple[Hashes, Days] | None = None
        self._kept: list[DataFrame] = []
        self.conflicts: list[str] = []  # message_ids of this batch that claim the id of another event

    def with_verdicts(self, staged: DataFrame) -> DataFrame:
        """Judged events plus `verdict`: duplicate, conflict, or NULL for the first of its event and for invalid rows."""
        valid = staged.where(F.size("errors") == 0)
        hashes, days = self._keys(valid)
        self._batch = (hashes, days)
        if not len(hashes):
            return staged.withColumn("verdict", F.lit(None).cast("string"))
        index = self._opened()
        held = read_frame(self.session, self.settings, "silver_events")
        if index is None:
            batch_days = [EPOCH + timedelta(days=int(day)) for day in np.unique(days)]
            candidates, held = valid, held.where(dedupe.within_window(batch_days))
        else:
            found, held_days = index.find(np.unique(hashes))
            suspects = np.union1d(found, repeated(hashes))
            if not len(suspects):
                return staged.withColumn("verdict", F.lit(None).cast("string"))
            candidates = self._among(valid, suspects)
            days_held = [dedupe.day_literal(day) for day in sorted(held_days)]
            held = self._among(held.where(F.col("event_date").isin(days_held)), found)
        verdicts = self._keep(dedupe.verdicts(candidates, held))
        conflicts = verdicts.where(F.col("verdict") == dedupe.CONFLICT).select("message_id").toArrow()
        self.conflicts = conflicts.column("message_id").to_pylist()
        return _joined(staged, verdicts)

    def with_record_verdicts(self, staged: DataFrame) -> DataFrame:
        """The same for record versions: a version is its content, so that a repeat can only be a duplicate. Records are
        few and their table is narrow; it is read."""
        valid = staged.where(F.size("errors") == 0).withColumn("body_hash", F.lit(""))
        held = read_frame(self.session, self.settings, "silver_records").withColumns(
            {"event_id": F.col("record_id"), "body_hash": F.lit("")}
        )
        return _joined(staged, self._keep(dedupe.verdicts(valid, held)))

    def _keep(self, verdicts: DataFrame) -> DataFrame:
        self._kept.append(verdicts.persist())
        return self._kept[-1]

    def forget_batch(self) -> None:
        """Frees what the batch held."""
        for frame in self._kept:
            frame.unpersist()
        self._kept, self.conflicts, self._batch = [], [], None

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
