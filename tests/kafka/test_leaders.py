"""Two brokers that are killed in turn under a producer and a running reader: every record arrives, once. Row 17 of list 6C."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokerkit import Broker
from doorkit import wait_until
from kafkakit import Reader, page

from jobs.ingest.kafka.plan import make_plans
from jobs.ingest.kafka.reader import start_topic
from jobs.lake.delta import ensure_all

pytestmark = pytest.mark.spark
PARTITIONS = 2
PER_SECOND = 100
KILLS_OF_SECOND = 3
SECONDS = 60


@pytest.fixture
def second(broker: Broker, jar_home: Path, tmp_path: Path) -> Iterator[Broker]:
    """Another node of the lane's cluster, gone again after the test."""
    found = Broker(jar_home, tmp_path / "node-2", first=broker)
    found.format()
    found.start()
    wait_until(lambda: len(broker.admin.list_topics(timeout=5).brokers) == 2, SECONDS)
    yield found
    found.kill()
    wait_until(lambda: len(broker.admin.list_topics(timeout=5).brokers) == 1, SECONDS)


class Steady(threading.Thread):
    """Writes pages at an even pace until told to stop; `sent` counts them, `failed` those that no broker confirmed."""

    def __init__(self, broker: Broker, topic: str) -> None:
        super().__init__(daemon=True)
        self.producer = broker.producer(acks="all", enable_idempotence=True)
        self.topic, self.sent, self.failed = topic, 0, 0
        self.ending = threading.Event()

    def run(self) -> None:
        while not self.ending.wait(1 / PER_SECOND):
            self.producer.produce(
                self.topic, page(self.sent), partition=self.sent % PARTITIONS, on_delivery=lambda e, _: self.note(e)
            )
            self.sent += 1
            self.producer.poll(0)
        assert self.producer.flush(60) == 0

    def note(self, error: object) -> None:
        self.failed += error is not None


def test_leaders_that_change_lose_nothing_and_double_nothing(
    broker: Broker, second: Broker, reader: Callable[..., Reader]
) -> None:
    topic = broker.topic(partitions=PARTITIONS, replicas=2)
    home = reader(topic)
    ensure_all(home.settings)
    (plan,) = make_plans(home.context)
    query = start_topic(home.session, home.settings, plan, every="500 milliseconds")
    writer = Steady(broker, topic)
    writer.start()
    led: list[set[int]] = []
    for node, times in ((second, KILLS_OF_SECOND), (broker, 1)):
        for _ in range(times):
            # Each leads a partition, and by what both have.
            wait_until(lambda: set(broker.leaders(topic)) == {1, 2}, SECONDS)
            led.append({1, 2})
            node.kill()
            if node is second:
                wait_until(lambda: set(broker.leaders(topic)) == {1}, SECONDS)
                led.append({1})
            time.sleep(1)
            node.start()
    wait_until(lambda: set(broker.leaders(topic)) == {1, 2}, SECONDS)
    writer.ending.set()
    writer.join()
    wait_until(lambda: len(home.rows()) >= writer.sent or not query.isActive, SECONDS)
    assert query.isActive, query.exception()
    query.stop()
    assert (writer.failed, len(led)) == (0, 2 * KILLS_OF_SECOND + 1)
    home.silver()
    seen = Counter(row["event_id"] for row in home.rows("silver_events"))
    assert seen == Counter(f"k{number}" for number in range(writer.sent))
    assert len(home.rows()) == writer.sent > 10 * PER_SECOND  # an idempotent producer: not even a duplicate
