"""`c360 ingest run --continuous`: landing, bronze and silver without end, in one process, until it is told to stop.

The same functions as a single run, paced: files and log segments are sealed as they come, both streams take a
micro-batch at a time. The balance is written every few minutes, so that a quiet stream is seen to be alive.
"""

import logging
import signal
import threading
import time
from dataclasses import dataclass, field

from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.context import Context
from jobs.core.errors import ExitCode, PermanentError
from jobs.ingest import outliers
from jobs.ingest.balance import record_balance
from jobs.ingest.landing.manifest import Manifest
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.quarantine.journal import finish_interrupted
from jobs.ingest.run import ingest_lock
from jobs.ingest.stream.bronze import start_bronze
from jobs.ingest.stream.silver import start_silver
from jobs.lake.delta import ensure_all
from jobs.lake.runs import stage
from jobs.lake.session import open_session
from jobs.privacy.keys import load_token_key

log = logging.getLogger(__name__)
SEAL_SECONDS = 0.5
BALANCE_SECONDS = 300.0


@dataclass
class Service:
    """The running service; `stop` may be called from a signal handler or another thread."""

    context: Context
    every: str
    stopping: threading.Event = field(default_factory=threading.Event)
    sealed: int = 0
    rejected: int = 0

    def run(self) -> ExitCode:
        """Until `stop`; raises PermanentError when a stream dies or the balance is off."""
        settings = self.context.settings
        with ingest_lock(settings), stage(self.context, "ingest.service") as record:
            key = load_token_key(settings)
            ensure_all(settings)
            finish_interrupted(settings)
            outliers.refresh(self.context)
            session = open_session(settings, "c360-ingest")
            try:
                queries = [
                    start_bronze(session, settings, every=self.every),
                    start_silver(session, settings, key, every=self.every),
                ]
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

    def _watch(self, queries: list[StreamingQuery]) -> None:
        manifest = Manifest.open(self.context.settings)
        balanced = time.monotonic()
        while not self.stopping.wait(SEAL_SECONDS):
            landed = seal_new_files(self.context, manifest=manifest)
            self.sealed += landed.messages
            self.rejected += landed.rejected
            for query in queries:
                if not query.isActive:
                    raise PermanentError(f"the {query.name} stream has stopped: {query.exception()}")
            if time.monotonic() - balanced > BALANCE_SECONDS:
                balanced = time.monotonic()
                self._balance()
                outliers.refresh(self.context)

    def _balance(self) -> None:
        wrong = [str(row["source"]) for row in record_balance(self.context) if not row["is_balanced"]]
        if wrong:
            raise PermanentError(f"the balance is off for {', '.join(wrong)}; see `c360 ops balance`")


def run_service(context: Context, *, every: str) -> ExitCode:
    """Runs until SIGTERM or SIGINT, then stops in order and returns."""
    service = Service(context, every)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, service.stop)
    return service.run()
