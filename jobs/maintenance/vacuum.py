"""Removes files that no version of a table needs any more, nor any reader, nor the silver stream. The one owner of it.

Why not delta-rs' own vacuum: it goes by the wall clock, and knows nothing of a stream that stands still. A file goes when
all of this is true: the current version does not name it; the log says that it was removed before the floor, or says
nothing of it; it was written before the floor; and the silver stream has read it. The floor is
`Settings.file_retention_hours`, and there is no switch that lowers it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.settings import Settings
from jobs.lake import deltalog
from jobs.lake.delta import FILES_KEPT, properties
from jobs.maintenance.stream_needs import StreamNeedsError, log_may_go, needed_by_silver

log = logging.getLogger(__name__)
READ_BY_SILVER = "bronze_messages"


@dataclass(frozen=True)
class Vacuumed:
    """What became of one table; `note` says why nothing was touched."""

    table: str
    files: int = 0
    bytes: int = 0
    note: str = ""


def expendable(
    written: Mapping[str, datetime], needed: set[str], removed: Mapping[str, datetime], floor: datetime
) -> list[str]:
    """The paths to remove. `written`: file on disk → when; `needed`: never; `removed`: when a version ceased to name it."""
    return sorted(p for p, at in written.items() if p not in needed and at < floor and removed.get(p, at) < floor)


def vacuum(settings: Settings, name: str, now: datetime, *, rehearsal: bool = False) -> Vacuumed:
    """Cleans one table; with `rehearsal` only counts. Safe to repeat, and to kill."""
    folder = lake_table(name).path(settings)
    if not DeltaTable.is_deltatable(str(folder)):
        return Vacuumed(name)
    written = _data_files(folder)  # listed before the log is read: what is committed in between is in the log
    try:
        needed = needed_by_silver(settings) if name == READ_BY_SILVER else set()
    except StreamNeedsError as error:
        return Vacuumed(name, note=str(error))
    table = DeltaTable(str(folder))
    if table.metadata().configuration.get(FILES_KEPT) != properties(settings, name)[FILES_KEPT]:
        return Vacuumed(name, note="its log does not remember removed files for as long: run `c360 lake migrate` first")
    needed |= {unquote(file["path"]) for file in pa.table(table.get_add_actions()).select(["path"]).to_pylist()}
    removed = {path: _instant(at) for path, at in deltalog.tombstones(folder).items()}
    going = expendable(written, needed, removed, now - timedelta(hours=settings.file_retention_hours))
    size = sum((folder / path).stat().st_size for path in going)
    if not rehearsal:
        for path in going:
            _remove(folder / path)
            fail_at(settings, Failpoint.DURING_VACUUM)
        if name == READ_BY_SILVER and log_may_go(settings, Clock().now()):
            table.cleanup_metadata()
    return Vacuumed(name, len(going), size)


def _data_files(folder: Path) -> dict[str, datetime]:
    """Path below the table → when it was last written, of every Parquet file that is not the log's."""
    found: dict[str, datetime] = {}
    for path in folder.rglob("*.parquet"):
        relative = path.relative_to(folder)
        if relative.parts[0] != deltalog.LOG:
            found[str(relative)] = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    return found


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
