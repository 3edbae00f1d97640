"""One ingest run: seal what landed, bronze, silver, balance; both streams in one JVM."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock

from jobs.core.context import Context
from jobs.core.errors import ExitCode, PermanentError, RetryableError
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use
from jobs.ingest import outliers
from jobs.ingest.balance import in_flight, record_balance
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.quarantine.journal import finish_interrupted
from jobs.lake.delta import ensure_all, read, row_count
from jobs.lake.runs import stage
from jobs.privacy.keys import load_token_key

log = logging.getLogger(__name__)


@contextmanager
def ingest_lock(settings: Settings) -> Iterator[None]:
    """One writer of the ingest tables at a time on this machine; the kernel frees the lock if the process dies."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (settings.home / "ingest.lock").open("w") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise RetryableError("another `c360 ingest run` is at work in this home; wait for it to end") from error
        with tokens_in_use(settings):
            yield


def run_ingest(context: Context, *, retry_refused: bool = False) -> ExitCode:
    """Loads everything that landed; with `retry_refused` looks again at files refused before.

    OK, or REFUSED_INPUT when some file was refused; raises PermanentError when the balance is off.
    """
    settings = context.settings
    with ingest_lock(settings):
        ensure_all(settings)
        finish_interrupted(settings)
        with stage(context, "ingest.seal") as seal:
            landed = seal_new_files(context, retry_refused=retry_refused)
            seal.rows_in = seal.rows_out = landed.messages
            seal.details = {"files_loaded": landed.loaded, "files_rejected": landed.rejected}
            seal.status = "refused_input" if landed.rejected else "ok"
        if _has_work(settings):
            _run_streams(context)
        else:
            log.info("nothing new to load; no Spark needed")
        rows = record_balance(context)
    wrong = [str(row["source"]) for row in rows if not row["is_balanced"]]
    if wrong:
        raise PermanentError(f"the balance is off for {', '.join(wrong)}; see `c360 ops balance`")
    return ExitCode.REFUSED_INPUT if landed.rejected else ExitCode.OK


def _has_work(settings: Settings) -> bool:
    """Whether a sealed message is not in bronze yet, or a bronze message not through the silver stream; exact counts."""
    manifest = read(settings, "ops_landing_manifest", ["row_count"])
    sealed = sum(manifest.column("row_count").to_pylist())
    return sealed != row_count(settings, "bronze_messages") or bool(in_flight(settings))


def _accepted(settings: Settings) -> int:
    return row_count(settings, "silver_events") + row_count(settings, "silver_records")


def _run_streams(context: Context) -> None:
    from jobs.ingest.stream.bronze import run_bronze
    from jobs.ingest.stream.silver import run_silver
    from jobs.lake.session import open_session

    key = load_token_key(context.settings)
    outliers.refresh(context)
    with stage(context, "ingest.stream") as streams:
        session = open_session(context.settings, "c360-ingest")
        try:
            streams.rows_in = run_bronze(session, context.settings)
            log.info("bronze: %d messages", streams.rows_in)
            before = _accepted(context.settings)
            run_silver(session, context.settings, key)
            streams.rows_out = _accepted(context.settings) - before
        finally:
            session.stop()
