"""What the parts of the identity benchmark measure by, and how figures stand to their limits."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """CPU seconds of all threads, wall seconds, and what the work gave."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def peak() -> str:
    """The most memory that this process has had so far."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:,.0f} MiB peak so far"


@dataclass
class Verdicts:
    """How figures stand to their limits; what has missed one ends the program with exit code 1."""

    missed: list[str] = field(default_factory=list)

    def at_most(self, what: str, value: float, limit: float) -> str:
        """The words for it."""
        return self._judged(what, value <= limit, f"limit {limit:g}")

    def at_least(self, what: str, value: float, floor: float) -> str:
        """The words for it."""
        return self._judged(what, value >= floor, f"floor {floor:g}")

    def _judged(self, what: str, is_held: bool, limit: str) -> str:
        if not is_held:
            self.missed.append(what)
        return f"{limit}: {'ok' if is_held else 'MISSED'}"


def figures(name: str, cpu: float, wall: float) -> None:
    """One line of figures."""
    click.echo(f"  {name:44} {wall:7.3f} s wall  {cpu:7.3f} CPU-s  {peak()}")


def fail_on(verdicts: Verdicts) -> None:
    """Exit code 1 when a limit was missed."""
    if verdicts.missed:
        raise SystemExit(f"missed: {', '.join(verdicts.missed)}")
