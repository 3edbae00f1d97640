"""A producer's fatal error comes out of whichever call meets it first; reports and shutdown go on."""

import threading
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from settingskit import make_settings

from jobs.transport.kafka_delivery import Delivery


class FailingProducer:
    """Raises its fatal error in the first call of `poll` or `flush`, as the client does; counts what follows."""

    def __init__(self) -> None:
        self._error: KafkaError | None = KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "refused", fatal=True)
        self.polled = threading.Event()

    def _raise_once(self) -> int:
        error, self._error = self._error, None
        if error is not None:
            raise KafkaException(error)
        return 0

    def poll(self, _: float) -> int:
        found = self._raise_once()
        self.polled.set()
        return found

    def flush(self, _: float) -> int:
        return self._raise_once()


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> FailingProducer:
    made = FailingProducer()
    monkeypatch.setattr(Delivery, "_make", lambda _: made)
    return made


def test_a_fatal_error_ends_no_shutdown(producer: FailingProducer, tmp_path: Path) -> None:
    delivery = Delivery(make_settings(tmp_path), "t")
    assert delivery.close() == 0
    assert not delivery.is_reachable


def test_a_fatal_error_ends_no_collecting_of_reports(producer: FailingProducer, tmp_path: Path) -> None:
    delivery = Delivery(make_settings(tmp_path), "t")
    delivery.start()
    assert producer.polled.wait(10), "the collecting thread has ended"
    delivery.close()
    assert not delivery.is_reachable
