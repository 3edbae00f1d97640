"""What a build reads: until which moment, and which version of each lake table. Both make it repeatable."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.core.catalog import TABLES
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.lake import delta


@dataclass(frozen=True)
class Reading:
    """The moment that a build describes, the Delta version of every lake table that it reads, and whether it only works
    out what has changed since the published build."""

    as_of: datetime
    versions: Mapping[str, int]
    increment: bool = False


def reading_now(settings: Settings, as_of: datetime) -> Reading:
    """The versions of this moment; what is appended while dbt works belongs to the next build."""
    delta.ensure_all(settings)
    return Reading(as_of, {name: delta.version(settings, name) for name in TABLES})


def reading_of_run(settings: Settings, run_id: str, as_of: datetime | None) -> Reading:
    """The versions that the build of a run has read, as `ops_runs` records them; its moment too, unless one is given.

    A table that was not there yet is read as it was created: empty. Raises as `require_pin` does, and PermanentError when
    maintenance has removed what the build read.
    """
    details = require_pin(settings, run_id, as_of)
    recorded = details["lake_versions"]
    versions = {name: int(recorded.get(name, 0)) for name in TABLES}
    for name, version in versions.items():
        if not delta.is_kept(settings, name, version):
            raise PermanentError(
                f"run {run_id} read version {version} of {name}, which is no longer kept (C360_VACUUM_HOURS); "
                "pin a later run, or build without --pin"
            )
    return Reading(as_of or datetime.fromisoformat(str(details["as_of"])), versions)


def require_pin(settings: Settings, run_id: str, as_of: datetime | None) -> dict[str, Any]:
    """What `ops_runs` records of a whole build of the run, `as_of` being no later than its moment.

    Raises UsageError when no build of that run is recorded, when it was of a selection (its other tables are of versions
    that the record does not tell), and for a later moment, of which its versions hold only a part.
    """
    details = _details(settings, run_id)
    if selection := details.get("select"):
        raise UsageError(
            f"the build of run {run_id} was of a selection ({selection}), the rest of an earlier build; "
            "pin the run of a whole one"
        )
    moment = datetime.fromisoformat(str(details["as_of"]))
    if as_of is not None and as_of > moment:
        raise UsageError(
            f"run {run_id} has read what was there at {moment.isoformat()}, which is before {as_of.isoformat()}; "
            "pin a later run, or ask for an earlier moment"
        )
    return details


def _details(settings: Settings, run_id: str) -> dict[str, Any]:
    wanted = {"run_id": run_id, "stage": "warehouse.build", "status": "ok"}
    runs = delta.read(settings, "ops_runs", ["details", "recorded_at"], where=wanted).to_pylist()
    found = [
        (row["recorded_at"], details)
        for row in runs
        if {"as_of", "lake_versions"} <= (details := json.loads(row["details"])).keys()
    ]
    if not found:
        raise UsageError(
            f"ops_runs records no finished warehouse build of run {run_id!r}; "
            "look with: c360 warehouse sql \"select run_id, recorded_at from ops.ops_runs where stage = 'warehouse.build'\""
        )
    latest: dict[str, Any] = max(found, key=lambda pair: pair[0])[1]
    return latest
