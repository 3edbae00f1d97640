"""Volume against history: how few rows past runs make plausible. Pure; the runner reads the rows.

Whether fewer rows block or only warn is said in `expectations.suites`. A warning does not make a run a blocked one: it
counts as history, so that after a few runs the smaller size is the usual one.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from statistics import median

RUNS = 7
FLOOR_SHARE = 0.5
_ROWS = re.compile(r"^(\d+) rows$")


@dataclass(frozen=True)
class PastResult:
    """One row of `ops_quality_results` about the table in question."""

    run_id: str
    expectation: str
    severity: str
    is_success: bool
    observed: str | None
    recorded_at: datetime


def volume_floor(past: Iterable[PastResult], *, run_id: str) -> int | None:
    """Half the median row count of the last 7 passed runs, this one left out; None when no run has passed before."""
    by_run: dict[str, list[PastResult]] = defaultdict(list)
    for row in past:
        if row.run_id != run_id:
            by_run[row.run_id].append(row)
    passed = [rows for rows in by_run.values() if all(r.is_success or r.severity != "critical" for r in rows)]
    # A fixed clock gives all runs one time; the run id breaks the tie, so that the floor does not depend on read order.
    latest = sorted(passed, key=lambda rows: (max(r.recorded_at for r in rows), rows[0].run_id), reverse=True)[:RUNS]
    counts = [found for rows in latest if (found := _count(rows)) is not None]
    return ceil(FLOOR_SHARE * median(counts)) if counts else None


def _count(rows: list[PastResult]) -> int | None:
    for row in rows:
        matched = _ROWS.match(row.observed or "") if row.expectation == "row_count" else None
        if matched:
            return int(matched.group(1))
    return None
