"""One file on its way into `landing/<source>/`: hidden until it is whole and on disk, then there under its name."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from expectations.contracts import SourceContract
from jobs.core.errors import RetryableError
from jobs.core.files import sync
from jobs.core.settings import Settings

HIDDEN = ".pull-"
READY_MARK = ".done"
FILE_SUFFIX = ".partial"


@contextmanager
def pull_lock(settings: Settings, source: str) -> Iterator[None]:
    """One pull into a source at a time; the kernel frees the lock if the process dies. Clears what a crash left."""
    folder = settings.home / "pulls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / f"{source}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RetryableError(f"another pull into {source} is at work in this home; wait for it to end") from error
        for path in landing_folder(settings, source).glob(f"{HIDDEN}*{FILE_SUFFIX}"):
            path.unlink()
        yield


def landing_folder(settings: Settings, source: str) -> Path:
    """Where the files of a source land; closed to others."""
    folder = settings.landing / source
    for path in (settings.landing, folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


class LandingFile:
    """A hidden file, open for writing, readable by its owner only. `land` shows it; left otherwise, it is removed."""

    def __init__(self, settings: Settings, contract: SourceContract, name: str) -> None:
        self._folder = landing_folder(settings, contract.name)
        self._needs_mark = contract.ready == "marker"
        self._path = self._folder / f"{HIDDEN}{name}{FILE_SUFFIX}"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        self.out: IO[bytes] = os.fdopen(descriptor, "wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # a full disk, which was said already
            self.out.close()
        self._path.unlink(missing_ok=True)

    def sync(self) -> None:
        """Returns when all bytes are on the disk."""
        self.out.flush()
        os.fsync(self.out.fileno())

    def land(self, name: str) -> Path:
        """Gives the file its name, whole and on disk. Its `.done`, where the contract wants one, is there before it."""
        self.sync()
        self.out.close()
        if self._needs_mark:
            (self._folder / (name + READY_MARK)).touch(mode=0o600)
        path = self._path.rename(self._folder / name)
        sync(self._folder)
        return path
