"""Which events of a batch are repeats: by an index of all keys in memory or, beyond its limit, by reading silver."""

import logging
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.stream import dedupe
from jobs.ingest.stream.key_index import EPOCH, Days, Hashes, KeyIndex, repeated
from jobs.ingest.stream.local_verdicts import NONE, held_events, local_verdicts
from jobs.lake.delta import row_count
from jobs.lake.frames import read_frame

log = logging.getLogger(__name__)


class KnownEvents:
    """Gives the events of a batch their verdict; remembers the batch's keys once they are written."""

    def __init__(self, session: SparkSession, settings: Settings) -> None:
        self.session = session
        self.settings = settings
        self._index: KeyIndex | None = None
        self._batch: tuple[Hashes, Days] | None = None

    def verdicts(
        self, hashes: Hashes, days: Days, *, few: Callable[[Hashes], pa.Table], every: Callable[[], DataFrame]
    ) -> pa.Table:
        """(message_id, verdict) of the batch's valid events that stand behind another message of theirs.

        `hashes` and `days` are those of all valid events; `few` brings the columns NARROW of the events with these hashes,
        `every` those of all valid ones.
        """
        self._batch = (hashes, days)
        if not len(hashes):
            return NONE
        index = self._opened()
        if index is None:
            batch_days = [EPOCH + timedelta(days=int(day)) for day in np.unique(days)]
            held = read_frame(self.session, self.settings, "silver_events").where(dedupe.within_window(batch_days))
            return dedupe.verdicts(every(), held).toArrow()
        found, held_days = index.find(np.unique(hashes))
        suspects = np.union1d(found, repeated(hashes))
        if not len(suspects):
            return NONE
        candidates = few(suspects)
        return local_verdicts(candidates, held_events(self.settings, held_days, candidates))

    def forget_batch(self) -> None:
        """The batch is over, whether it was written or not."""
        self._batch = None

    def remember(self) -> None:
        """The batch is in silver: its keys count from now on."""
        if self._index is not None and self._batch is not None:
            self._index.add(*self._batch)
            self._batch = None

    def _opened(self) -> KeyIndex | None:
        """The index, filled from silver at first use; None when silver is too big for it."""
        limit = self.settings.dedupe_index_keys
        if self._index is None and row_count(self.settings, "silver_events") <= limit:
            self._index = KeyIndex(limit)
            self._index.add(*self._held_keys())
        if self._index is not None and self._index.is_too_big:
            log.info("more than %d events are known: repeats are looked up in silver itself from now on", limit)
            self._index = None
        return self._index

    def _held_keys(self) -> tuple[Hashes, Days]:
        silver = read_frame(self.session, self.settings, "silver_events")
        day = F.datediff("event_date", F.lit(EPOCH)).alias("day")
        table = silver.select(dedupe.key_hash().alias("hash"), day).toArrow()
        return table.column("hash").to_numpy(), table.column("day").to_numpy()
