"""What the property tests of segments did, at the end of the report, so that a run can be had again."""

from collections.abc import Callable
from typing import Any

import pytest

RUNS: list[tuple[str, dict[str, int]]] = []


@pytest.fixture
def record_segment_run() -> Callable[[str, dict[str, int]], None]:
    """Takes the seed of a run, and counts that it goes on counting."""
    return lambda label, counts: RUNS.append((label, counts))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for label, counts in RUNS:
        counted = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        terminalreporter.write_line(f"segments parity: {label}: {counted}")
