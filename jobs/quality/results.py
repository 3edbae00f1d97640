"""Reads `ops_quality_results` for people."""

from dataclasses import dataclass

from jobs.core.settings import Settings
from jobs.lake import delta


@dataclass(frozen=True)
class Recorded:
    """One recorded result."""

    run_id: str
    gate: str
    table_name: str
    expectation: str
    severity: str
    is_success: bool
    observed: str
    expected: str


def results_of(settings: Settings, run_id: str | None) -> list[Recorded]:
    """Results of the run, or of the run recorded last; ordered by gate, table and verdict, failures first."""
    kept = delta.read(settings, "ops_quality_results").to_pylist()
    if not kept:
        return []
    wanted = run_id or max(kept, key=lambda row: (row["recorded_at"], row["run_id"]))["run_id"]
    rows = sorted(
        (row for row in kept if row["run_id"] == wanted),
        key=lambda row: (row["gate"], row["table_name"], row["is_success"], row["expectation"]),
    )
    return [Recorded(**{name: row[name] for name in Recorded.__dataclass_fields__}) for row in rows]
