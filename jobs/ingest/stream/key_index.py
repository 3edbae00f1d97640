"""Which event keys silver holds, as sorted 64-bit hashes in memory: a cache of the table, so that a small batch need not
read the keys of 30 days to learn that it repeats nothing.

The index may name keys that are not there (two keys, one hash): whoever asks compares the named ones exactly. It never
misses one that is. 12 bytes a key; above `limit` keys the caller reads the table instead, pruned by day.
"""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.int64]
Days = npt.NDArray[np.int32]
EPOCH = date(1970, 1, 1)
MAX_RUNS = 8


class KeyIndex:
    """Sorted runs of (hash, day since 1970), the newest small; merged when there are too many."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._runs: list[tuple[Hashes, Days]] = []

    def __len__(self) -> int:
        return sum(len(hashes) for hashes, _ in self._runs)

    @property
    def is_too_big(self) -> bool:
        """Whether it holds more than it may."""
        return len(self) > self.limit

    def add(self, hashes: Hashes, days: Days) -> None:
        """Remembers keys; the order does not matter."""
        if not len(hashes):
            return
        order = np.argsort(hashes, kind="stable")
        self._runs.append((hashes[order], days[order]))
        while len(self._runs) > 1 and (
            len(self._runs) > MAX_RUNS or len(self._runs[-1][0]) * 2 > len(self._runs[-2][0])
        ):
            self._merge_last_two()

    def _merge_last_two(self) -> None:
        (a, a_days), (b, b_days) = self._runs.pop(), self._runs.pop()
        hashes, days = np.concatenate([a, b]), np.concatenate([a_days, b_days])
        order = np.argsort(hashes, kind="stable")
        self._runs.append((hashes[order], days[order]))

    def find(self, hashes: Hashes) -> tuple[Hashes, set[date]]:
        """(those of `hashes` that are held, the days on which they are)."""
        found: list[Hashes] = []
        days: set[date] = set()
        for known, known_days in self._runs:
            low, high = np.searchsorted(known, hashes, "left"), np.searchsorted(known, hashes, "right")
            hit = high > low
            found.append(hashes[hit])
            for start, end in zip(low[hit].tolist(), high[hit].tolist(), strict=True):
                days.update(EPOCH + timedelta(days=int(day)) for day in known_days[start:end])
        return (np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)), days


def repeated(hashes: Hashes) -> Hashes:
    """The hashes that occur more than once."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
