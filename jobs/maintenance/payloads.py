"""Removes raw payloads that lie in files: sealed files that bronze holds, and delivered files past `retention_days`.

A sealed file is only the way into bronze, so it goes once bronze has committed it: a second raw copy that nobody reads.
Segments of the landing log go when they are sealed, by the ingest run itself. Delivered files (loaded, repeated or
refused) go when their decision is older than the retention; what still waits for something or somebody stays.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake.checkpoints import BRONZE, folder, last_commit, offset, seen_files
from jobs.lake.delta import read

DECIDED = ("loaded", "repeated", "rejected")
DONE_MARK = ".done"


@dataclass
class Removed:
    """Files that went, and how many past their time had to stay."""

    sealed: list[Path] = field(default_factory=list)
    landing: list[Path] = field(default_factory=list)
    kept: int = 0
    note: str = ""


def remove_payload_files(context: Context, *, rehearsal: bool = False) -> Removed:
    """Removes what may go; safe to repeat, to kill, and beside the streams."""
    settings = context.settings
    found = Removed()
    try:
        found.sealed = sealed_in_bronze(settings)
    except (OSError, ValueError, KeyError):
        found.note = "the bronze checkpoint is not whole, so no file goes; look with `c360 ingest doctor`"
        return found
    waiting = [int(path.stem) for path in settings.sealed.glob("*.parquet") if path not in found.sealed]
    found.landing, found.kept = delivered_past(context, before=min(waiting, default=None))
    for path in [] if rehearsal else [*found.sealed, *found.landing]:
        path.unlink(missing_ok=True)
        path.with_name(path.name + DONE_MARK).unlink(missing_ok=True)
    return found


def sealed_in_bronze(settings: Settings) -> list[Path]:
    """Sealed files of batches that Spark has committed to bronze. Raises ValueError when the checkpoint is not whole."""
    batch = last_commit(settings, BRONZE)
    if batch < 0:
        return []
    read_to = int(offset(folder(settings, BRONZE) / "offsets" / str(batch))["logOffset"])
    names = {Path(unquote(urlparse(uri).path)) for uri, entry in seen_files(settings).items() if entry <= read_to}
    return sorted(path for path in settings.sealed.glob("*.parquet") if path in names)


def delivered_past(context: Context, *, before: int | None) -> tuple[list[Path], int]:
    """(delivered files past their time, how many more must stay). `before`: the first number not in bronze yet."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(read(context.settings, "ops_landing_manifest").to_pylist(), key=lambda row: row["file_number"]):
        last[row["source"], row["file_name"]] = row
    limit = context.clock.now() - timedelta(days=context.settings.retention_days)
    going: list[Path] = []
    kept = 0
    for (source, name), row in last.items():
        path = context.settings.landing / source / name
        if row["recorded_at"] >= limit or not path.is_file() or path.is_symlink():
            continue
        settled = row["status"] in DECIDED and (before is None or row["file_number"] < before)
        if settled and _signature(path) == row["signature"]:
            going.append(path)
        else:
            kept += 1
    return sorted(going), kept


def _signature(path: Path) -> str:
    """As the manifest writes it: a file that has changed since its decision is another file."""
    stat = path.lstat()
    return f"{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
