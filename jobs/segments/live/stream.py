"""`c360 segments stream`: silver's events to `segment_changes`, with a ticker beside for what time alone changes.

Spark says which events are new, exactly once per batch id; the evaluator in this process does the rest, or Spark when many
profiles are to be looked at. All calls of the evaluator go one after the other, whoever makes them.
"""

import logging
import shutil
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.lake.delta import ensure_all
from jobs.lake.locks import segments_lock
from jobs.lake.runs import stage
from jobs.lake.session import open_session
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue
from jobs.segments.live import ledger
from jobs.segments.live.engines import SizedRunner
from jobs.segments.live.owners import KINDS
from jobs.segments.live.process import Companion, Process, found_stream
from jobs.segments.live.spark_runner import SparkRunner

log = logging.getLogger(__name__)
STANDING_SECONDS = 60.0
PLAIN = ("name", "effective_at", "received_at", "receive_position", "is_simulated", *KINDS.values())


class SegmentBatches:
    """Hands micro-batches of silver to the evaluator."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.settings = process.context.settings
        self.work = self.settings.home / "spark" / "segments_batch"
        self.checkpoint: str | None = None
        self.told = -1

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        """Deals with one micro-batch; one that was told before a crash is not dealt with again."""
        fail_at(self.settings, Failpoint.AFTER_OFFSETS_BEFORE_WORK)
        if self.checkpoint is None:
            self.checkpoint = ledger.checkpoint_id(self.settings)
            self.told = ledger.told_batch(self.settings, self.checkpoint)
        if batch_id <= self.told:
            log.info("batch %d was told before the last stop", batch_id)
            return
        with self.process.lock:
            events = self._events(batch)
            try:
                self.process.batch(events, checkpoint=self.checkpoint, batch_id=batch_id)
            finally:
                shutil.rmtree(self.work, ignore_errors=True)

    def _events(self, batch: DataFrame) -> str:
        """The name of a relation of the connection: in memory when they are few, else over files of this batch."""
        connection = self.process.live.connection
        rows = self._chosen(batch)
        few = rows.limit(self.settings.segments_local_events + 1).toArrow()
        connection.execute("drop view if exists batch_files")
        if few.num_rows <= self.settings.segments_local_events:
            connection.register("batch_rows", few)
            return "batch_rows"
        rows.write.mode("overwrite").parquet(str(self.work))
        connection.execute(f"create view batch_files as from read_parquet('{self.work}/*.parquet')")
        return "batch_files"

    def _chosen(self, batch: DataFrame) -> DataFrame:
        names = list(self.process.live.state.kept.names)
        counts = F.col("name").isin(*names) if names else F.lit(False)
        key = F.concat_ws("|", "source", "event_id").alias("event_key")
        return batch.select(key, *PLAIN, F.when(counts, F.col("properties")).alias("properties"))


def start_stream(session: SparkSession, process: Process, *, every: str | None) -> StreamingQuery:
    """Starts the query: all of silver that is there and then an end, or with `every` a batch at that pace for ever."""
    settings = process.context.settings
    stream = (
        session.readStream.format("delta")
        # What was there before the first start has been read whole; its last version comes again, and does no harm.
        .option("startingVersion", str(found_stream(settings)))
        # Rotations and erasures rewrite events, and bring none.
        .option("skipChangeCommits", "true")
        .load(str(lake_table("silver_events").path(settings)))
    )
    writer = (
        stream.writeStream.queryName(ledger.STREAM)
        .foreachBatch(SegmentBatches(process))
        .option("checkpointLocation", str(settings.checkpoints / ledger.STREAM))
    )
    return (writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)).start()


Beside = Callable[[Path, Catalogue], Sequence[Companion]]


def alone(_: Path, __: Catalogue) -> Sequence[Companion]:
    """Nothing works beside the evaluator."""
    return ()


@dataclass
class Service:
    """The running evaluator; `stop` may be called from a signal handler or another thread."""

    context: Context
    every: str | None
    definitions: Path | None = None
    beside: Beside = alone
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> int:
        """Until there is nothing more to do, or with `every` until `stop`. Gives the number of changes told.

        Raises RetryableError when another evaluator is at work, PermanentError when the stream dies.
        """
        settings = self.context.settings
        with segments_lock(settings), stage(self.context, "segments.stream") as record:
            catalogue = load(self.definitions or settings.project_root)
            ensure_all(settings)
            session = open_session(settings, "c360-segments")
            big = SparkRunner(lambda: session, settings.home / "spark" / "segments_round")
            runner = SizedRunner(settings.segments_local_profiles, big)
            companions = self.beside(self.definitions or settings.project_root, catalogue)
            process = Process(self.context, catalogue, runner, companions)
            try:
                process.open()
                query = start_stream(session, process, every=self.every)
                self._watch(query, process)
                query.stop()
            finally:
                session.stop()
            log.info("stopped: %s", process.standing())
            process.close()
            record.rows_out = process.told
        return process.told

    def stop(self, *_: object) -> None:
        """Ends the service after the micro-batch in hand."""
        self.stopping.set()

    def _watch(self, query: StreamingQuery, process: Process) -> None:
        if self.every is None:
            try:
                query.awaitTermination()
            except StreamingQueryException as error:
                raise _stopped(error) from error
            process.tick()
            return
        log.info("running; stop with SIGTERM or Ctrl-C")
        said = time.monotonic()
        while not self.stopping.wait(self.context.settings.segments_tick_seconds):
            if not query.isActive:
                raise _stopped(query.exception())
            with process.lock:
                process.tick()
            if time.monotonic() - said > STANDING_SECONDS:
                said = time.monotonic()
                with process.lock:
                    log.info("alive: %s", process.standing())
        with process.lock:
            log.info("stopping after the micro-batch in hand")


def _stopped(error: Exception | None) -> PermanentError:
    """The first line that Spark or the evaluator said, and what always helps."""
    said = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
    return PermanentError(
        f"the stream of segments has stopped: {said[:300]}; start it again, and if it stops in the same way remove"
        f" checkpoints/{ledger.STREAM} first: it then goes on from segment_changes and silver, and nothing is lost"
    )


def run_stream(context: Context, *, every: str | None, definitions: Path | None = None, beside: Beside = alone) -> int:
    """Runs the stream; with `every` until SIGTERM or SIGINT. `definitions`: another folder of them; `beside`: what else is at
    work."""
    service = Service(context, every, definitions, beside)
    if every:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, service.stop)
    return service.run()
