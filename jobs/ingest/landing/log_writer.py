"""Writes the landing log: appends lines that are on disk when the call returns, and seals segments by size and age.

A segment appears as `<name>.open` only after its lock is held (it is made under a hidden name), so that no sealer takes
it for an orphan. After a failed write nothing of that call counts: the file is cut back to its last acknowledged byte and
given up, and the next call begins another one.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.core.clock import Clock
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.files import sync
from jobs.core.settings import Settings
from jobs.ingest.landing.log import OPEN, SEALED, log_folder

log = logging.getLogger(__name__)


class Disk:
    """The calls of the operating system that durability hangs on; tests stand in one that fills up or forgets."""

    def create(self, path: Path) -> int:
        """A new file, open for writing, readable by its owner only."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Writes all of it or raises OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Returns when the file's bytes are on the disk."""
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Returns when the folder's names are on the disk."""
        sync(path)


@dataclass
class _Segment:
    """The file that is being written: `size` bytes of it are acknowledged."""

    path: Path
    descriptor: int
    begun: float
    size: int = 0


class LandingLogWriter:
    """One writer of the landing log, with at most one open segment. Not thread-safe: one thread calls it."""

    def __init__(self, settings: Settings, clock: Clock, *, disk: Disk | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._disk = disk or Disk()
        self._folder = log_folder(settings)
        self._segment: _Segment | None = None
        self._last_number = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a segment that still has to be sealed."""
        return self._segment is not None

    def append(self, lines: Sequence[bytes]) -> None:
        """Returns when all lines are on disk. Raises OSError when they are not; then none of them counts."""
        segment = self._segment or self._begin()
        data = b"".join(lines)
        try:
            self._disk.write(segment.descriptor, data)
            fail_at(self._settings, Failpoint.AFTER_WRITE_BEFORE_FSYNC)
            self._disk.sync(segment.descriptor)
        except OSError:
            self._give_up()
            raise
        segment.size += len(data)
        fail_at(self._settings, Failpoint.AFTER_FSYNC_BEFORE_REPLY)

    @property
    def is_due(self) -> bool:
        """Whether the segment is old or large enough to be sealed."""
        segment = self._segment
        if segment is None:
            return False
        age = time.monotonic() - segment.begun
        return age >= self._settings.collector_rotate_seconds or segment.size >= self._settings.collector_rotate_bytes

    def rotate(self) -> None:
        """Hands the segment on: `.open` becomes `.log`. Where renaming fails it stays an orphan, which the sealer finds."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            self._disk.sync(segment.descriptor)
            fail_at(self._settings, Failpoint.DURING_ROTATE)
            segment.path.rename(segment.path.with_suffix(SEALED))
            self._disk.sync_folder(self._folder)
        except OSError as error:
            log.error("landing log: %s was not sealed (%s); the sealer will find it", segment.path.name, error.strerror)
        finally:
            os.close(segment.descriptor)

    def _begin(self) -> _Segment:
        """A new segment: locked first, then named, and the name on disk before anything in it is acknowledged."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{self._next_number():017d}-{secrets.token_hex(4)}{OPEN}"
        hidden = path.with_name(f".{path.name}")
        descriptor = self._disk.create(hidden)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            self._disk.sync_folder(self._folder)
        except OSError:
            for name in (hidden, path):
                name.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._segment = _Segment(path, descriptor, time.monotonic())
        return self._segment

    def _next_number(self) -> int:
        """Microseconds of our clock, but always after the segments before, so that names sort even if the clock steps."""
        if not self._last_number:
            known = (path.name.partition("-")[0] for path in self._folder.iterdir())
            self._last_number = max((int(number) for number in known if number.isdigit()), default=0)
        self._last_number = max(int(self._clock.now().timestamp() * 1_000_000), self._last_number + 1)
        return self._last_number

    def _give_up(self) -> None:
        """Cuts the segment back to what was acknowledged and hands it on; an empty one is removed.

        A file whose fsync failed once is never written again: the kernel may have dropped its pages.
        """
        segment, self._segment = self._segment, None
        if segment is None:
            return
        with contextlib.suppress(OSError):
            os.ftruncate(segment.descriptor, segment.size)
        with contextlib.suppress(OSError):
            if segment.size:
                segment.path.rename(segment.path.with_suffix(SEALED))
            else:
                segment.path.unlink()
        os.close(segment.descriptor)
