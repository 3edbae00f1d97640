"""In which order definitions can be made: each after what it reads, by name among those that are free."""

import heapq
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter


def order(reads: Mapping[str, set[str]]) -> tuple[list[str], list[list[str]]]:
    """Names in order, and the circles found: each begins with its smallest name, reads on to the next, and ends where it began.

    Of circles that share a name one is told. Names in a circle, and what reads them, are not in the order.
    """
    left = {name: set(found) & set(reads) for name, found in sorted(reads.items())}
    circles: list[list[str]] = []
    while True:
        sorter = TopologicalSorter({name: sorted(found) for name, found in left.items()})
        try:
            sorter.prepare()
        except CycleError as error:
            circle = _turned(error.args[1])
            circles.append(circle)
            left = {name: found for name, found in left.items() if name not in circle}
            continue
        return _sorted(sorter, _upstream_is_missing(reads, left)), circles


def _turned(cycle: list[str]) -> list[str]:
    """graphlib tells who is read before who reads; here who reads comes first."""
    names = cycle[:0:-1]
    start = names.index(min(names))
    return [*names[start:], *names[:start], names[start]]


def _upstream_is_missing(reads: Mapping[str, set[str]], left: Mapping[str, set[str]]) -> set[str]:
    missing = set(reads) - set(left)
    while more := {name for name in left if name not in missing and reads[name] & missing}:
        missing |= more
    return missing


def _sorted(sorter: "TopologicalSorter[str]", missing: set[str]) -> list[str]:
    found: list[str] = []
    free = list(sorter.get_ready())
    heapq.heapify(free)
    while free:
        name = heapq.heappop(free)
        if name not in missing:
            found.append(name)
        sorter.done(name)
        for ready in sorter.get_ready():
            heapq.heappush(free, ready)
    return found
