"""What the silver stream has not read of bronze yet: those files and commits stay, however old they are."""

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.errors import C360Error
from jobs.core.settings import Settings
from jobs.lake import deltalog
from jobs.lake.checkpoints import SILVER, Position, entries, folder, last_commit, offset, position_of
from jobs.lake.delta import row_count
from jobs.lake.placement import PLACES

LOG_HOURS = 168


class StreamNeedsError(C360Error):
    """What the stream needs cannot be told: nothing of bronze may go until it can."""


def position(settings: Settings) -> Position | None:
    """From where the stream may yet have to read: the end of its committed batches, or the start of its first batch.

    None when no batch has ever been planned: it will begin with the table as it is then. Raises StreamNeedsError when
    the checkpoint cannot be read.
    """
    offsets = folder(settings, SILVER) / "offsets"
    planned = entries(offsets)
    if not planned:
        return None
    # The newest committed batch may be delivered again when its commit is lost, so that its own start counts.
    batch = max(last_commit(settings, SILVER) - 1, min(planned))
    try:
        return position_of(offset(offsets / str(batch)))
    except (OSError, ValueError, KeyError) as error:
        raise StreamNeedsError("the silver checkpoint cannot be read; look with `c360 ingest doctor`") from error


def needed_by_silver(settings: Settings) -> set[str]:
    """Paths, relative to bronze, of files that the stream may yet read. Raises StreamNeedsError when it cannot be told."""
    at = position(settings)
    bronze = lake_table("bronze_messages").path(settings)
    current = DeltaTable(str(bronze)).version()
    if at is None or at.version > current:
        return set()
    if not deltalog.commit_file(bronze, at.version).exists():
        raise StreamNeedsError(
            f"the silver stream stands at version {at.version}, which the log no longer has; `c360 ingest doctor` says more"
        )
    held = _files_of(bronze, at.version) if at.is_snapshot else set()
    return held.union(*(commit.added for commit in deltalog.commits(bronze, at.version)))


def _files_of(bronze: Path, version: int) -> set[str]:
    actions = pa.table(DeltaTable(str(bronze), version=version).get_add_actions())
    return {unquote(path) for path in actions.column("path").to_pylist()}


def require_checkpoint(settings: Settings) -> None:
    """Raises StreamNeedsError when silver was written and the checkpoint that wrote it is gone: which of its rows count
    cannot be told then."""
    is_there = (folder(settings, SILVER) / "metadata").exists()
    if not is_there and any(row_count(settings, name) for name in PLACES):
        raise StreamNeedsError("the silver checkpoint is lost; run `c360 ingest doctor` first")


def log_may_go(settings: Settings, now: datetime) -> bool:
    """Whether old commits of bronze may be cleaned away: what is cleaned is a week old, and the stream is past that.

    `now` is the machine's: delta-rs cleans by its clock, and so are the files dated, whatever clock a run was given.
    """
    at = position(settings)
    file = deltalog.commit_file(lake_table("bronze_messages").path(settings), at.version) if at else None
    if file is None or not file.exists():
        return True
    return file.stat().st_mtime > (now - timedelta(hours=LOG_HOURS)).timestamp()
