"""Who works with tokens shares a lock; who changes the tokens of the whole lake holds it alone. The kernel frees it."""

import fcntl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from jobs.core.errors import RetryableError
from jobs.core.settings import Settings


def tokens_in_use(settings: Settings) -> AbstractContextManager[None]:
    """For runs that write tokens or join on them; any number at a time. Raises RetryableError while keys are changed."""
    return _held(settings, fcntl.LOCK_SH, "the keys of the tokens are being changed; try again when that is done")


def tokens_changing(settings: Settings) -> AbstractContextManager[None]:
    """For the rotation and retirement of keys. Raises RetryableError while a run is at work."""
    return _held(
        settings,
        fcntl.LOCK_EX,
        "an ingest, identity, warehouse or sync run is at work; stop it or wait for it (the collector may go on), "
        "then run this again",
    )


@contextmanager
def _held(settings: Settings, operation: int, refusal: str) -> Iterator[None]:
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.home / "tokens.lock").open("a") as file:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RetryableError(refusal) from error
        yield
