"""One ingest run: seal what landed, bronze, silver, balance; both streams in one JVM."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.core.context import Context
from jobs.core.errors import C360Error, ExitCode, PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.ingest import outliers
from jobs.ingest.balance import in_flight, record_balance
from jobs.ingest.doctor.guard import require_ready
from jobs.ingest.landing.seal import Landed, seal_new_files
from jobs.ingest.quarantine.journal import finish_interrupted
from jobs.lake.delta import ensure_all, read, row_count
from jobs.lake.locks import ingest_lock
from jobs.lake.retired import loaded_from_files
from jobs.lake.runs import stage
from jobs.privacy.keys import load_token_key

if TYPE_CHECKING:
    from jobs.ingest.kafka.plan import TopicPlan

log = logging.getLogger(__name__)
LANDING, KAFKA = "landing", "kafka"


def run_ingest(context: Context, *, sources: Sequence[str] = (), retry_refused: bool = False) -> ExitCode:
    """Loads everything new of `sources` (none named: all that the settings know); with `retry_refused` looks again at
    files refused before. What stops Kafka does not stop the files: it is raised when they are through.

    OK, or REFUSED_INPUT when some file was refused; raises PermanentError when the balance is off, OffsetGapError (exit
    code 3) when Kafka has lost records that were never read, RetryableError when its brokers are away.
    """
    settings = context.settings
    chosen = chosen_sources(settings, sources)
    with ingest_lock(settings):
        ensure_all(settings)
        require_ready(settings)
        finish_interrupted(settings)
        landed = _seal(context, retry_refused=retry_refused) if LANDING in chosen else Landed()
        plans, stopped = _plan_kafka(context) if KAFKA in chosen else ([], None)
        if has_work(settings) or any(plan.waiting for plan in plans):
            stopped = _run_streams(context, plans) or stopped
        else:
            log.info("nothing new to load; no Spark needed")
        rows = record_balance(context)
    wrong = [str(row["source"]) for row in rows if not row["is_balanced"]]
    if wrong:
        raise PermanentError(f"the balance is off for {', '.join(wrong)}; see `c360 ops balance`")
    if stopped:
        raise stopped
    return ExitCode.REFUSED_INPUT if landed.rejected else ExitCode.OK


def chosen_sources(settings: Settings, sources: Sequence[str]) -> tuple[str, ...]:
    """The named sources, or all that the settings know. Raises UsageError for Kafka without settings."""
    if not sources:
        return (LANDING, KAFKA) if settings.has_kafka else (LANDING,)
    if KAFKA in sources and not settings.has_kafka:
        raise UsageError(
            "Kafka needs C360_KAFKA_BOOTSTRAP_SERVERS, and C360_KAFKA_TOPICS or C360_KAFKA_COLLECTOR_TOPIC"
        )
    return tuple(dict.fromkeys(sources))


def _seal(context: Context, *, retry_refused: bool) -> Landed:
    with stage(context, "ingest.seal") as seal:
        landed = seal_new_files(context, retry_refused=retry_refused)
        seal.rows_in = seal.rows_out = landed.messages
        seal.details = {"files_loaded": landed.loaded, "files_rejected": landed.rejected}
        seal.status = "refused_input" if landed.rejected else "ok"
    return landed


def _plan_kafka(context: Context) -> tuple[list["TopicPlan"], C360Error | None]:
    """What to read of each topic; nothing, and the reason, when the source must not or cannot be read."""
    from jobs.ingest.kafka.plan import make_plans

    try:
        return make_plans(context), None
    except C360Error as error:
        log.error("kafka: %s", error)
        return [], error


def has_work(settings: Settings) -> bool:
    """Whether a sealed message is not in bronze yet, or a bronze message not through the silver stream; exact counts.

    Rows of bronze that came from Kafka were never sealed: they are told by having no file.
    """
    manifest = read(settings, "ops_landing_manifest", ["row_count"])
    sealed = sum(manifest.column("row_count").to_pylist())
    return sealed != loaded_from_files(settings) or bool(in_flight(settings))


def _accepted(settings: Settings) -> int:
    return row_count(settings, "silver_events") + row_count(settings, "silver_records")


def _run_streams(context: Context, plans: list["TopicPlan"]) -> C360Error | None:
    """Bronze from files and topics, then silver; returns what stopped Kafka on the way, for silver comes all the same."""
    from jobs.ingest.stream.bronze import run_bronze
    from jobs.ingest.stream.silver import run_silver
    from jobs.lake.session import end_session, open_session

    key = load_token_key(context.settings)
    outliers.refresh(context)
    stopped: C360Error | None = None
    with stage(context, "ingest.stream") as streams:
        session = open_session(context.settings, "c360-ingest")
        try:
            streams.rows_in = run_bronze(session, context.settings)
            if any(plan.waiting for plan in plans):
                from jobs.ingest.kafka.reader import run_kafka

                try:
                    streams.rows_in += run_kafka(session, context, plans)
                except C360Error as error:
                    log.error("kafka: %s", error)
                    stopped = error
            log.info("bronze: %d messages", streams.rows_in)
            before = _accepted(context.settings)
            run_silver(session, context.settings, key)
            streams.rows_out = _accepted(context.settings) - before
        finally:
            end_session(session)  # the balance wants memory too
    return stopped
