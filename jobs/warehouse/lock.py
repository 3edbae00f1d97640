"""The writer lock: DuckDB has one writer, and so have build and publish together."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.warehouse.paths import build_file


@contextmanager
def writer_lock(settings: Settings) -> Iterator[None]:
    """Holds the lock; raises RetryableError when another process has it. It ends with its process, so it is never stale."""
    path = build_file(settings).with_name("writer.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetryableError(
                "another build or publish of the warehouse is running; try again when it is done"
            ) from error
        yield
