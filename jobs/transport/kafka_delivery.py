"""Hands messages to a Kafka topic and says of each what became of it: confirmed by all replicas in sync, or not."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.transport.kafka import make_producer

log = logging.getLogger(__name__)
LINGER_MS = 2
LARGEST_REQUEST = 64 * 2**20
POLL_SECONDS = 0.1
LOOK_SECONDS = 2.0
Done = Callable[[str | None], None]


class NotSentError(RetryableError):
    """A message was not even taken into the queue."""


class Delivery:
    """One idempotent producer and the thread that collects its reports, in which every `done` is called.

    `is_reachable` turns false with a failed delivery, and true again with a good one or when the topic answers a question.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer = self._make()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._collect, name="kafka-reports", daemon=True)
        self.is_reachable = True

    def _make(self) -> Producer:
        return make_producer(
            self._settings,
            **{
                "linger.ms": LINGER_MS,
                "message.timeout.ms": int(self._settings.kafka_delivery_seconds * 1000),
                "message.max.bytes": LARGEST_REQUEST,
                "queue.buffering.max.kbytes": self._settings.collector_queue_bytes // 1024,
                "queue.buffering.max.messages": 0,
                "compression.type": "lz4",
            },
        )

    def _wait(self, call: Callable[[float], int], seconds: float) -> int:
        """Waits for reports with `call` (poll or flush), through a fatal error.

        The client raises such an error once, in whichever call comes upon it and whether or not it has an `error_cb`; the
        messages are reported as failed by the calls that follow, and the next message gets a new producer.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                return call(max(0.0, until - time.monotonic()))
            except KafkaException as error:
                self.is_reachable = False
                log.error("kafka: %s", error.args[0].name())

    def start(self) -> None:
        """Begins to collect reports."""
        self._thread.start()

    def send(self, value: bytes, headers: Sequence[tuple[str, bytes]], done: Done) -> None:
        """Queues a message; `done` gets None once it is confirmed, or the name of the error. Raises NotSentError."""

        def report(error: KafkaError | None, _: Message) -> None:
            self.is_reachable = error is None
            done(None if error is None else error.name())

        try:
            self._producer.produce(self._topic, value=value, headers=list(headers), on_delivery=report)
        except BufferError as error:
            raise NotSentError("the queue for the brokers is full") from error
        except KafkaException as error:
            self.is_reachable = False
            if error.args[0].fatal():
                self._renew()
            raise NotSentError(error.args[0].name()) from error

    def _renew(self) -> None:
        """After a fatal error a producer takes nothing more; what it holds is reported as failed."""
        log.error("kafka: the producer has failed for good; a new one takes over")
        old, self._producer = self._producer, self._make()
        old.purge()
        self._wait(old.flush, POLL_SECONDS)

    def _collect(self) -> None:
        looked = time.monotonic()
        while not self._stopping.is_set():
            self._wait(self._producer.poll, POLL_SECONDS)
            if not self.is_reachable and time.monotonic() - looked > LOOK_SECONDS:
                self._look()
                looked = time.monotonic()

    def _look(self) -> None:
        try:
            found = self._producer.list_topics(self._topic, timeout=LOOK_SECONDS).topics[self._topic]
        except KafkaException:
            return
        self.is_reachable = found.error is None

    def close(self) -> int:
        """Waits for the reports that are due; returns how many messages are left without one."""
        left = self._wait(self._producer.flush, self._settings.kafka_delivery_seconds + 1)
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        return left
