"""Token buckets per write key and per address, in memory: a flood from one side leaves room for the others."""

import time
from collections import OrderedDict
from collections.abc import Callable

BURST_SECONDS = 2.0
REMEMBERED = 50_000  # buckets; the longest unused is forgotten first, and starts full when it comes back


class RateLimit:
    """At most `rate` units per second and name, with two seconds' worth saved up."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = rate * BURST_SECONDS
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, units: int = 1) -> float:
        """0 when the units may pass, else the seconds until they may. More than a burst counts as a burst."""
        now = self._clock()
        filled, at = self._buckets.get(name, (self._burst, now))
        filled = min(self._burst, filled + (now - at) * self._rate)
        wanted = min(float(units), self._burst)
        passes = filled >= wanted
        self._buckets[name] = (filled - wanted if passes else filled, now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (wanted - filled) / self._rate
