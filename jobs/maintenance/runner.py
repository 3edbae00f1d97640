"""What the commands do under the maintenance lock, each recorded as a stage."""

from collections.abc import Iterator

from jobs.core.context import Context
from jobs.lake.locks import maintenance_lock
from jobs.lake.runs import stage
from jobs.maintenance.compact import Compacted, compact
from jobs.maintenance.payloads import Removed, remove_payload_files
from jobs.maintenance.retain import Retired, first_kept, retire
from jobs.maintenance.vacuum import Vacuumed, vacuum


def run_compact(context: Context, names: list[str]) -> list[Compacted]:
    """Compacts the tables; returns those in which something was joined."""
    with maintenance_lock(context.settings), stage(context, "maintain.compact") as record:
        found = [compact(context.settings, name) for name in names]
        record.details = {done.table: [done.before, done.after] for done in found if done.before}
    return [done for done in found if done.before]


def run_vacuum(context: Context, names: list[str], *, rehearsal: bool) -> list[Vacuumed]:
    """Cleans the tables; returns those where something went, or could not."""
    now = context.clock.now()
    if rehearsal:
        return [done for name in names if _says(done := vacuum(context.settings, name, now, rehearsal=True))]
    with maintenance_lock(context.settings), stage(context, "maintain.vacuum") as record:
        found = [done for name in names if _says(done := vacuum(context.settings, name, now))]
        record.details = {done.table: done.note or done.files for done in found}
    return found


def _says(done: Vacuumed) -> bool:
    return bool(done.files or done.note)


def run_retain(context: Context, *, rehearsal: bool) -> Iterator[str]:
    """Files first, then rows, so that no sealed file is left of a message that bronze no longer holds."""
    if rehearsal:
        going = remove_payload_files(context, rehearsal=True)
        yield from _lines(context, going, retire(context, rehearsal=True, gone=going.sealed))
        return
    with maintenance_lock(context.settings), stage(context, "maintain.retain") as record:
        files = remove_payload_files(context)
        rows = Retired() if files.note else retire(context)
        record.rows_in = record.rows_out = rows.messages
        record.details = {
            "days": rows.days,
            "quarantined": rows.quarantined,
            "sealed_files": len(files.sealed),
            "landing_files": len(files.landing),
            "unsettled": {str(day): count for day, count in rows.unsettled.items()},
        }
    yield from _lines(context, files, rows)


def _lines(context: Context, files: Removed, rows: Retired) -> Iterator[str]:
    yield f"raw payloads received before {first_kept(context)} (retention_days {context.settings.retention_days}):"
    if files.note:
        yield f"  {files.note}"
    yield f"  bronze      {rows.messages:>9,} messages of {len(rows.days)} days"
    yield f"  quarantine  {rows.quarantined:>9,} messages"
    yield f"  landing     {len(files.landing):>9,} files ({files.kept} past their time wait for something or somebody)"
    yield f"  sealed      {len(files.sealed):>9,} files that bronze holds"
    for day, count in sorted(rows.unsettled.items()):
        yield f"  {day} stays: {count:,} messages are not settled; see `c360 ops balance --by-hour`"
