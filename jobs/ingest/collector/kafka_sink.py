"""The collector's other sink: a Kafka topic of its own. Durable means that all replicas in sync have confirmed it.

What was not confirmed in time may still have arrived: its sender repeats it, and the repeat is found by its event id.
"""

import asyncio
import logging
from collections.abc import Sequence

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.failpoints import Failpoint, Sabotage, fail_at, sabotaged
from jobs.core.settings import Settings
from jobs.ingest.collector.sink import SinkUnavailableError
from jobs.ingest.kafka.note import headers_of, value_of
from jobs.ingest.landing.log import Received
from jobs.transport.kafka import topic_limit
from jobs.transport.kafka_delivery import Delivery, NotSentError

log = logging.getLogger(__name__)
NOTE_BYTES = 512 * 1024  # beside the text: receipt, context of the batch, the protocol's own


class _Waiting:
    """The messages of one request: how many reports are due, and the first that was bad."""

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._due = count
        self._error: str | None = None

    def done(self, error: str | None) -> None:
        """A report, in the thread that collects them."""
        self._due -= 1
        self._error = self._error or error
        if not self._due:
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if self.future.done():
            return  # the request has gone
        if self._error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(SinkUnavailableError(f"Kafka has not confirmed the messages: {self._error}"))


class KafkaSink:
    """Every message a record of `kafka_collector_topic`, its text as the value, what the door noted as a header."""

    def __init__(self, context: Context) -> None:
        self._settings = context.settings
        topic = context.settings.kafka_collector_topic
        if topic is None:
            raise UsageError(
                "C360_COLLECTOR_SINK=kafka needs C360_KAFKA_COLLECTOR_TOPIC, a topic of the collector's own"
            )
        _check_size(self._settings, topic)
        self._delivery = Delivery(self._settings, topic)
        self._closing = False
        self._complained = False

    @property
    def is_healthy(self) -> bool:
        """Whether the brokers confirm what they get."""
        return self._delivery.is_reachable

    async def start(self) -> None:
        """Begins to collect the brokers' reports."""
        self._delivery.start()

    async def accept(self, messages: Sequence[Received]) -> None:
        """Returns when every message is confirmed; SinkUnavailableError on a full queue, a timeout, an error or shutdown."""
        if self._closing:
            raise SinkUnavailableError("stopping")
        waiting = _Waiting(len(messages), asyncio.get_running_loop())
        try:
            for message in messages:
                self._delivery.send(value_of(message), headers_of(message), waiting.done)
            if sabotaged(self._settings, Sabotage.REPLY_BEFORE_FSYNC):
                return
            await waiting.future
        except (NotSentError, SinkUnavailableError) as error:
            self._complain(error)
            raise SinkUnavailableError(str(error)) from error
        self._complained = False
        fail_at(self._settings, Failpoint.AFTER_FSYNC_BEFORE_REPLY)

    def _complain(self, error: Exception) -> None:
        """Once per outage."""
        if not self._complained:
            log.error("%s; answering 503 until it works again", error)
        self._complained = True

    async def close(self) -> None:
        """Waits for what was accepted."""
        self._closing = True
        left = await asyncio.get_running_loop().run_in_executor(None, self._delivery.close)
        if left:
            log.error("kafka: %d messages were not confirmed; their senders have been told", left)


def _check_size(settings: Settings, topic: str) -> None:
    """A body that the door takes must fit into the topic, or its sender would try it for ever."""
    needed = settings.collector_inflated_bytes * 4 // 3 + NOTE_BYTES
    limit = topic_limit(settings, topic)
    if limit is not None and limit < needed:
        raise UsageError(
            f"topic {topic} takes {limit} bytes in a message and the collector may send {needed}; set its "
            "max.message.bytes to that, or lower C360_COLLECTOR_INFLATED_BYTES"
        )
