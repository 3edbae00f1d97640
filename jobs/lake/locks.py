"""Kernel locks between the commands of one home on this machine; the kernel frees them if the process dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock

from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use


@contextmanager
def ingest_lock(settings: Settings) -> Iterator[None]:
    """One writer of the ingest tables at a time. Raises RetryableError when it is held."""
    held = "another `c360 ingest run` is at work in this home; wait for it to end"
    with _lock(settings, "ingest.lock", held), tokens_in_use(settings):
        yield


@contextmanager
def identity_lock(settings: Settings) -> Iterator[None]:
    """One writer of the identity tables at a time. Raises RetryableError when it is held."""
    held = "another `c360 identity` command is at work in this home; wait for it to end"
    with _lock(settings, "identity.lock", held), tokens_in_use(settings):
        yield


@contextmanager
def segments_lock(settings: Settings) -> Iterator[None]:
    """One evaluator of segments at a time. Raises RetryableError when it is held."""
    held = "another `c360 segments stream` is at work in this home; wait for it to end"
    with _lock(settings, "segments.lock", held), tokens_in_use(settings):
        yield


@contextmanager
def maintenance_lock(settings: Settings) -> Iterator[None]:
    """One owner of vacuum, retention and compaction at a time; a replay takes it too, for retention ends what it feeds
    on. Raises RetryableError when it is held."""
    with _lock(settings, "maintenance.lock", "another `c360 maintain` or a replay is at work; wait for it to end"):
        yield


@contextmanager
def _lock(settings: Settings, name: str, held: str) -> Iterator[None]:
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.home / name).open("w") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise RetryableError(held) from error
        yield
