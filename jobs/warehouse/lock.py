"""The writer lock: DuckDB has one writer, and so have build, publish and rollback together."""

import errno
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.warehouse.epoch import Fence, take_epoch
from jobs.warehouse.paths import build_file

log = logging.getLogger(__name__)
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


@contextmanager
def writer_lock(settings: Settings) -> Iterator[Fence]:
    """Holds the lock and hands out the writer's epoch; raises RetryableError when another process has the lock.

    It ends with its process, so it is never stale. Where the disk knows no locks, the epoch alone keeps writers apart.
    """
    path = build_file(settings).with_name("writer.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetryableError(
                "another build or publish of the warehouse is running; try again when it is done"
            ) from error
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            log.warning("%s is on a disk without locks: only the newest writer will be able to publish", path.parent)
        yield take_epoch(settings)


def is_writer_at_work(settings: Settings) -> bool:
    """Whether somebody holds the lock at this moment. Takes no epoch, for nothing will be written."""
    path = build_file(settings).with_name("writer.lock")
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a disk without locks: nobody can tell
            return False
    return False
