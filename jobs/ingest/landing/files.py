"""What lies in the landing folders: delivered files, and segments of the landing log; nothing is opened for long."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from jobs.core.settings import Settings
from jobs.ingest.landing.log import OPEN, SEALED, log_folder

READY_MARK = ".done"
LOG_SOURCE = "landing_log"


def landing_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(source, file) in a fixed order; names starting with "." are still being written, `.done` files only mark others."""
    settings.landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in sorted(p for p in settings.landing.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and path.suffix != READY_MARK:
                yield folder.name, path


def log_segments(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Sealed segments in the order they were begun; an open one whose writer is gone is sealed first."""
    folder = log_folder(settings)
    if not folder.exists():
        return
    for path in folder.glob(f"*{OPEN}"):
        _seal_orphan(path)
    for path in sorted(folder.glob(f"*{SEALED}")):
        yield LOG_SOURCE, path


def _seal_orphan(path: Path) -> None:
    """Renames an open segment that nobody holds; its writer keeps an exclusive lock for as long as it lives."""
    with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.rename(path.with_suffix(SEALED))


def is_being_written(path: Path) -> bool:
    """Whether some process has the file open for writing: the kernel grants a read lease only if none has.

    Asked on Linux and of local file systems only; elsewhere writers must rename into place or use `ready: marker`.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # this file system, or another owner's file: no leases
    finally:
        os.close(descriptor)
    return False
