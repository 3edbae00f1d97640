"""Takes raw payloads that are past `retention_days` out of bronze and quarantine, whole days at a time, and keeps count.

A crash-safe run: the counts by source, hour and outcome go to ops_retired_messages under a new number; then one commit
takes the days out of bronze and carries that number; then the quarantine rows of those days go. Counts whose number
bronze does not carry are those of a run that was cut off; the next one removes them. A day stays as long as one of its
messages is not settled: waiting for the silver stream, or in two places.
"""

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.settings import Settings
from jobs.lake.delta import again_on_conflict, append, ensure_table
from jobs.lake.duck import lake_connection
from jobs.lake.placement import PLACED_CTES, PLACES, bounds
from jobs.lake.retired import APP_ID, TABLE, last_batch
from jobs.lake.schema import arrow_schema
from jobs.maintenance.stream_needs import require_checkpoint

BRONZE, QUARANTINE = "bronze_messages", "quarantine_messages"

# One row per hour, way in and outcome of the days in question; messages in no place or in two have no outcome.
TALLY_SQL = f"""
with {PLACED_CTES},
judged as (
    select r.message_id, r.source, r.landed_date, date_trunc('hour', r.received_at) as received_hour,
        r.file_name is not null as is_from_file,
        case when starts_with(r.origin, 'kafka:') then split_part(r.origin, ':', 2) || ':' || split_part(r.origin, ':', 3)
            else '' end as kafka_partition,
        case when starts_with(r.origin, 'kafka:') then cast(split_part(r.origin, ':', 4) as bigint) end as kafka_offset,
        case when count(c.outcome) = 1 then any_value(c.outcome) end as outcome
    from due as r left join counted as c using (message_id) group by all
)
select j.source, j.landed_date, j.received_hour, j.is_from_file, j.kafka_partition, j.outcome,
    case when j.outcome = 'quarantined' then array_to_string(list_sort(q.reason_codes), ',') else '' end as reasons,
    max(j.kafka_offset) as last_offset, count(*) as messages
from judged as j left join quarantine_messages as q using (message_id) group by all order by all
"""


@dataclass
class Retired:
    """What a run did: days and messages gone, and the days that had to stay with how many unsettled messages."""

    days: list[date] = field(default_factory=list)
    messages: int = 0
    quarantined: int = 0
    unsettled: dict[date, int] = field(default_factory=dict)


def first_kept(context: Context) -> date:
    """The first UTC day of receipt that is within retention."""
    return context.clock.now().date() - timedelta(days=context.settings.retention_days)


def retire(context: Context, *, rehearsal: bool = False, gone: Container[Path] = ()) -> Retired:
    """Takes out every whole day before `first_kept`; safe to repeat, to kill, and beside the streams.

    `gone`: sealed files that a rehearsal takes for removed.

    The caller holds the maintenance lock. Raises RetryableError when other writers always came first, StreamNeedsError
    when the silver checkpoint is lost.
    """
    settings = context.settings
    require_checkpoint(settings)
    if rehearsal:
        return _plan(context, DeltaTable(_path(settings, BRONZE)), gone)[0]
    for name in (BRONZE, QUARANTINE, TABLE):
        ensure_table(settings, name)
    report = again_on_conflict(BRONZE, lambda: _retire_bronze(context))
    fail_at(settings, Failpoint.AFTER_BRONZE_DELETE_BEFORE_QUARANTINE)
    kept = set(report.unsettled) | _days(DeltaTable(_path(settings, BRONZE)), first_kept(context))
    report.quarantined = again_on_conflict(QUARANTINE, lambda: _retire_quarantine(context, kept))
    return report


def _retire_bronze(context: Context) -> Retired:
    """One try on one version of bronze: what is counted is exactly what goes, or the commit is refused."""
    settings = context.settings
    forget_unfinished(settings)
    bronze = DeltaTable(_path(settings, BRONZE))
    report, rows = _plan(context, bronze)
    if not report.days:
        return report
    number = last_batch(settings) + 1
    named = {"retired_batch": number, "run_id": context.run_id, "recorded_at": context.clock.now()}
    schema = arrow_schema(lake_table(TABLE).contract)
    append(settings, TABLE, pa.Table.from_pylist([row | named for row in rows], schema=schema))
    fail_at(settings, Failpoint.AFTER_RETIRED_SUMMARY_BEFORE_DELETE)
    days = ", ".join(f"'{day.isoformat()}'" for day in report.days)
    carries = CommitProperties(app_transactions=[Transaction(APP_ID, number)])
    # Whole partitions: no file is rewritten, and the silver stream passes over the commit (ignoreDeletes).
    bronze.delete(f"landed_date in ({days})", commit_properties=carries)
    return report


def forget_unfinished(settings: Settings) -> None:
    """Removes the counts of a run that never took its days out."""
    table = ensure_table(settings, TABLE)
    again_on_conflict(TABLE, lambda: table.delete(f"retired_batch > {last_batch(settings)}"))


def _plan(context: Context, bronze: DeltaTable, gone: Container[Path] = ()) -> tuple[Retired, list[dict[str, Any]]]:
    days = _days(bronze, first_kept(context)) - sealed_days(context.settings, gone)
    rows = _tally(context.settings, bronze, days) if days else []
    report = Retired()
    for row in rows:
        if row["outcome"] is None:
            report.unsettled[row["landed_date"]] = report.unsettled.get(row["landed_date"], 0) + row["messages"]
    going = [row for row in rows if row["landed_date"] not in report.unsettled]
    report.days = sorted({row["landed_date"] for row in going})
    report.messages = sum(row["messages"] for row in going)
    return report, going


def _days(bronze: DeltaTable, before: date) -> set[date]:
    found = {date.fromisoformat(str(part["landed_date"])) for part in bronze.partitions()}
    return {day for day in found if day < before}


def sealed_days(settings: Settings, gone: Container[Path] = ()) -> set[date]:
    """Days of receipt of sealed files on disk. They stay in bronze: its rows are what proves that a sealed file is loaded,
    should the checkpoint be lost."""
    found: set[date] = set()
    for path in settings.sealed.glob("*.parquet"):
        if path not in gone:
            times = pq.read_table(path, columns=["received_at"]).column("received_at")
            found |= set(pc.unique(times.cast(pa.date32())).to_pylist())
    return found


def _tally(settings: Settings, bronze: DeltaTable, days: set[date]) -> list[dict[str, Any]]:
    due = bronze.to_pyarrow_dataset(partitions=[("landed_date", "in", sorted(day.isoformat() for day in days))])
    for name in PLACES:
        ensure_table(settings, name)
    with lake_connection(settings, PLACES) as connection:
        connection.register("due", due)
        rows: list[dict[str, Any]] = connection.execute(TALLY_SQL, bounds(settings)).to_arrow_table().to_pylist()
    return rows


def _retire_quarantine(context: Context, kept: set[date]) -> int:
    """Removes rows of days of which bronze keeps nothing; returns how many. What bronze holds may yet be replayed."""
    where = [f"quarantined_date < '{first_kept(context).isoformat()}'"]
    if kept:
        where.append("quarantined_date not in ({})".format(", ".join(f"'{day.isoformat()}'" for day in sorted(kept))))
    metrics = DeltaTable(_path(context.settings, QUARANTINE)).delete(" and ".join(where))
    return int(metrics["num_deleted_rows"] or 0)


def _path(settings: Settings, name: str) -> str:
    return str(lake_table(name).path(settings))
