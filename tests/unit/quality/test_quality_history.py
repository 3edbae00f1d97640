"""Volume against history: half the median of the last 7 passed runs."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.quality.history import PastResult, volume_floor

START = datetime(2018, 1, 1, tzinfo=UTC)


def run(number: int, rows: int, *, passed: bool = True) -> list[PastResult]:
    when = START + timedelta(days=number)
    other = PastResult(f"r{number}", "key_unique", "critical", passed, "0 of 9 rows unexpected", when)
    drift = PastResult(f"r{number}", "drift", "warning", False, "3", when)
    return [PastResult(f"r{number}", "row_count", "critical", True, f"{rows} rows", when), other, drift]


def past(*runs: list[PastResult]) -> list[PastResult]:
    return [row for rows in runs for row in rows]


def test_no_history_no_floor() -> None:
    assert volume_floor([], run_id="now") is None


def test_half_the_median_rounded_up() -> None:
    assert volume_floor(past(run(1, 100), run(2, 10), run(3, 31)), run_id="now") == 16


def test_only_the_last_seven_count() -> None:
    old = [run(n, 1_000_000) for n in range(8)]
    recent = [run(n, 100) for n in range(10, 17)]
    assert volume_floor(past(*old, *recent), run_id="now") == 50


def test_blocked_runs_and_the_run_itself_do_not_count() -> None:
    rows = past(run(1, 100), run(2, 2, passed=False), run(3, 4))
    assert volume_floor(rows, run_id="r3") == 50


@pytest.mark.parametrize("observed", ["engine error ValueError", "not evaluated", None])
def test_a_count_that_cannot_be_read_is_left_out(observed: str | None) -> None:
    row = PastResult("r1", "row_count", "critical", True, observed, START)
    assert volume_floor([row], run_id="now") is None
