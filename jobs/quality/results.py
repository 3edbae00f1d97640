"""Reads `ops_quality_results` for people."""

import re
from dataclasses import dataclass
from typing import Any

from jobs.core.settings import Settings
from jobs.lake import delta

TABLE = "ops_quality_results"
_RUN = re.compile(r"^run_id = '([^']+)'")


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
    kept = delta.read(settings, TABLE).to_pylist()
    if not kept:
        return []
    wanted = run_id or _last_run(settings, kept)
    rows = sorted(
        (row for row in kept if row["run_id"] == wanted),
        key=lambda row: (row["gate"], row["table_name"], row["is_success"], row["expectation"]),
    )
    return [Recorded(**{name: row[name] for name in Recorded.__dataclass_fields__}) for row in rows]


def _last_run(settings: Settings, kept: list[dict[str, Any]]) -> str:
    """The run that wrote last. Under a fixed clock all runs have one time, so the table's commits decide where they can."""
    for commit in delta.ensure_table(settings, TABLE).history():
        named = _RUN.match(str((commit.get("operationParameters") or {}).get("predicate") or ""))
        if named:
            return named.group(1)
    return str(max(kept, key=lambda row: (row["recorded_at"], row["run_id"]))["run_id"])
