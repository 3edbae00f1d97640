"""Where received messages go before the sender is answered: `accept` returns when they are durable, or raises."""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from jobs.core.context import Context
from jobs.core.errors import RetryableError
from jobs.core.failpoints import Sabotage, sabotaged
from jobs.ingest.landing.log import Received, encode
from jobs.ingest.landing.log_writer import Disk, LandingLogWriter

log = logging.getLogger(__name__)
IDLE_CHECKS = 4  # looks per rotation age at whether a quiet segment is due


class SinkUnavailableError(RetryableError):
    """The messages are not durable and must be sent again; the door answers 503."""


class Sink(Protocol):
    """What the door needs of a place for messages."""

    async def start(self) -> None:
        """Called once, in the running loop, before the first message."""

    async def accept(self, messages: Sequence[Received]) -> None:
        """Returns when all messages are durable; raises SinkUnavailableError when they may not be."""

    async def close(self) -> None:
        """Finishes what was accepted; `accept` raises from then on."""

    @property
    def is_healthy(self) -> bool:
        """Whether the latest attempt to make messages durable succeeded."""


def make_sink(context: Context) -> Sink:
    """The sink that the settings name."""
    if context.settings.collector_sink == "kafka":
        from jobs.ingest.collector.kafka_sink import KafkaSink

        return KafkaSink(context)
    return LandingSink(context)


class LandingSink:
    """Group commit into the landing log: what waits is written together, synced once, and answered together."""

    def __init__(self, context: Context, *, disk: Disk | None = None) -> None:
        self._settings = context.settings
        self.writer = LandingLogWriter(context.settings, context.clock, disk=disk)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing-log")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self.is_healthy = True

    async def start(self) -> None:
        """Starts the task that commits."""
        self._task = asyncio.create_task(self._run())

    async def accept(self, messages: Sequence[Received]) -> None:
        """Returns when the messages are fsynced; SinkUnavailableError on a full queue, a failed write or shutdown."""
        data = encode(messages[0]) if len(messages) == 1 else b"".join([encode(message) for message in messages])
        if self._closing or self._waiting_bytes + len(data) > self._settings.collector_queue_bytes:
            raise SinkUnavailableError("stopping" if self._closing else "the queue for the disk is full")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((data, future))
        self._waiting_bytes += len(data)
        self._wake.set()
        if sabotaged(self._settings, Sabotage.REPLY_BEFORE_FSYNC):
            return
        await future

    async def close(self) -> None:
        """Commits what waits, seals the segment, ends the thread."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting or not self._closing:
            await self._sleep()
            group, self._waiting, self._waiting_bytes = self._waiting, [], 0
            if group:
                await self._commit(group)
            if self.writer.is_due:
                await loop.run_in_executor(self._thread, self.writer.rotate)
        await loop.run_in_executor(self._thread, self.writer.rotate)

    async def _sleep(self) -> None:
        """Until something waits; with an open segment no longer than a part of its age."""
        alarm = None
        if self.writer.is_open:
            patience = self._settings.collector_rotate_seconds / IDLE_CHECKS
            alarm = asyncio.get_running_loop().call_later(patience, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if alarm:
            alarm.cancel()

    async def _commit(self, group: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        failure: SinkUnavailableError | None = None
        try:
            lines = [data for data, _ in group]
            await asyncio.get_running_loop().run_in_executor(self._thread, self.writer.append, lines)
        except Exception as error:  # whatever it was: these messages are not durable, and the next ones get their try
            what = error.strerror if isinstance(error, OSError) else type(error).__name__
            failure = SinkUnavailableError(f"the landing log could not be written: {what}")
            if self.is_healthy:
                log.error("%s; answering 503 until it can", failure)
        self.is_healthy = failure is None
        for _, future in group:
            if not future.done():
                future.set_exception(failure) if failure else future.set_result(None)
