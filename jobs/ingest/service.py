"""`c360 ingest run --continuous`: sources, bronze and silver without end, in one process, until it is told to stop.

The same functions as a single run, paced: files and log segments are sealed as they come, the streams take a micro-batch
at a time, and every few seconds Kafka's topics are asked whether anything has gone unread. The balance is written every few
minutes, so that a quiet stream is seen to be alive.
"""

import logging
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.context import Context
from jobs.core.errors import ExitCode, PermanentError, RetryableError
from jobs.ingest import outliers
from jobs.ingest.balance import record_balance
from jobs.ingest.doctor.guard import require_ready
from jobs.ingest.landing.manifest import Manifest
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.quarantine.journal import finish_interrupted
from jobs.ingest.run import KAFKA, LANDING, chosen_sources
from jobs.ingest.stream.bronze import start_bronze
from jobs.ingest.stream.silver import start_silver
from jobs.lake.delta import ensure_all
from jobs.lake.locks import ingest_lock
from jobs.lake.runs import stage
from jobs.lake.session import open_session
from jobs.privacy.keys import TokenKey, load_token_key

log = logging.getLogger(__name__)
SEAL_SECONDS = 0.5
BALANCE_SECONDS = 300.0
GUARD_SECONDS = 5.0


@dataclass
class Service:
    """The running service; `stop` may be called from a signal handler or another thread."""

    context: Context
    every: str
    sources: Sequence[str] = ()
    stopping: threading.Event = field(default_factory=threading.Event)
    sealed: int = 0
    rejected: int = 0
    told: dict[str, int] = field(default_factory=dict)

    def run(self) -> ExitCode:
        """Until `stop`; raises PermanentError when a stream dies, the balance is off or Kafka has lost unread records."""
        settings = self.context.settings
        self.sources = chosen_sources(settings, self.sources)
        with ingest_lock(settings), stage(self.context, "ingest.service") as record:
            key = load_token_key(settings)
            ensure_all(settings)
            require_ready(settings)
            finish_interrupted(settings)
            outliers.refresh(self.context)
            session = open_session(settings, "c360-ingest")
            try:
                queries = self._start(session, key)
                log.info("running; stop with SIGTERM or Ctrl-C")
                self._watch(queries)
                for query in queries:
                    query.stop()
            finally:
                session.stop()
            record.rows_in = self.sealed
        return ExitCode.REFUSED_INPUT if self.rejected else ExitCode.OK

    def stop(self, *_: object) -> None:
        """Ends the service after the file in hand; an unfinished micro-batch is delivered again at the next start."""
        self.stopping.set()

    def _start(self, session: SparkSession, key: TokenKey) -> list[StreamingQuery]:
        settings, queries = self.context.settings, []
        if LANDING in self.sources:
            queries.append(start_bronze(session, settings, every=self.every))
        if KAFKA in self.sources:
            from jobs.ingest.kafka.plan import make_plans
            from jobs.ingest.kafka.reader import start_topic

            plans = make_plans(self.context)
            queries += [start_topic(session, settings, plan, every=self.every) for plan in plans]
        return [*queries, start_silver(session, settings, key, every=self.every)]

    def _watch(self, queries: list[StreamingQuery]) -> None:
        manifest = Manifest.open(self.context.settings)
        balanced = guarded = time.monotonic()
        while not self.stopping.wait(SEAL_SECONDS):
            if LANDING in self.sources:
                landed = seal_new_files(self.context, manifest=manifest)
                self.sealed += landed.messages
                self.rejected += landed.rejected
            if KAFKA in self.sources and time.monotonic() - guarded > GUARD_SECONDS:
                self._guard()
                guarded = time.monotonic()
            for query in queries:
                if not query.isActive:
                    raise self._explained(query)
                self._tell(query)
            if time.monotonic() - balanced > BALANCE_SECONDS:
                balanced = time.monotonic()
                self._balance()
                outliers.refresh(self.context)

    def _tell(self, query: StreamingQuery) -> None:
        """A line for each micro-batch that moved something: how long it took is the first thing to ask of a late stream."""
        progress = query.lastProgress
        if progress is None or progress["batchId"] == self.told.get(query.name):
            return
        self.told[query.name] = progress["batchId"]
        if progress["numInputRows"]:
            log.info("%s: batch %d took %.1f s", query.name, progress["batchId"], progress["batchDuration"] / 1000)

    def _guard(self) -> None:
        """Raises OffsetGapError; brokers that do not answer are the streams' business, which try again for a while."""
        from jobs.ingest.kafka.plan import make_plans

        try:
            make_plans(self.context)
        except RetryableError as error:
            log.warning("kafka: %s", error)

    def _explained(self, query: StreamingQuery) -> Exception:
        if KAFKA in self.sources and str(query.name).startswith("bronze_kafka"):
            from jobs.ingest.kafka.reader import explained

            return explained(self.context, str(query.name), query.exception())
        return PermanentError(f"the {query.name} stream has stopped: {query.exception()}")

    def _balance(self) -> None:
        wrong = [str(row["source"]) for row in record_balance(self.context) if not row["is_balanced"]]
        if wrong:
            raise PermanentError(f"the balance is off for {', '.join(wrong)}; see `c360 ops balance`")


def run_service(context: Context, *, every: str, sources: Sequence[str] = ()) -> ExitCode:
    """Runs until SIGTERM or SIGINT, then stops in order and returns."""
    service = Service(context, every, sources)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, service.stop)
    return service.run()
