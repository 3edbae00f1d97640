"""Private folders of commands that read the published file, and what killed commands have left of such places.

A folder is held by a kernel lock, which ends with its process: what is left can be told from what is at work without asking
for its age.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs.core.settings import Settings
from jobs.warehouse.paths import as_of_folder

PREFIXES = ("export-", "docs-")


@contextmanager
def private_folder(settings: Settings, prefix: str) -> Iterator[Path]:
    """An empty folder beside the published file, removed at the end. `prefix` is one of `PREFIXES`."""
    parent = settings.warehouse_file.parent
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            with suppress(OSError):  # a disk without locks: what a kill leaves there, nobody tells
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(handle)


def abandoned_folders(settings: Settings) -> list[Path]:
    """Of commands that were killed. An empty one is not told: it may be about to be locked."""
    found = sorted(path for prefix in PREFIXES for path in settings.warehouse_file.parent.glob(f"{prefix}*"))
    return [path for path in found if path.is_dir() and any(path.iterdir()) and _is_free(path)]


def abandoned_drafts(settings: Settings) -> list[Path]:
    """Of builds as of a moment; only while nobody writes (`writer_lock`), for then one of them is being built."""
    return sorted(path for ending in (".tmp", ".tmp.wal") for path in as_of_folder(settings).glob(f"*{ending}"))


def _is_free(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
