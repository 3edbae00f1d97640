"""Being let in, and not: users, passwords, rights, and brokers that are not there. Row 19 of list 6C."""

from collections.abc import Callable
from pathlib import Path

import pytest
from brokerkit import PASSWORD, Broker
from kafkakit import Reader, pages
from settingskit import make_settings

from jobs.core.errors import AuthError, RetryableError
from jobs.core.settings import Settings
from jobs.core.settings_kafka import LOGIN
from jobs.transport.kafka import look
from jobs.transport.kafka_delivery import Delivery

pytestmark = pytest.mark.spark


def with_user(broker: Broker, home: Path, user: str, topic: str, password: str = PASSWORD) -> Settings:
    settings = make_settings(
        home,
        kafka_bootstrap_servers=f"127.0.0.1:{broker.sasl}",
        kafka_security_protocol="SASL_PLAINTEXT",
        kafka_sasl_mechanism="PLAIN",
        kafka_username=user,
        kafka_topics=f"{topic}=web",
        kafka_request_seconds=5,
        kafka_delivery_seconds=3,
    )
    secret = home / "secrets" / LOGIN
    secret.parent.mkdir()
    secret.write_text(password)
    secret.chmod(0o600)
    return settings


def delivered(settings: Settings, topic: str) -> list[str | None]:
    found: list[str | None] = []
    delivery = Delivery(settings, topic)
    delivery.start()
    delivery.send(b"{}", [], found.append)
    delivery.close()
    return found


def test_a_user_with_a_password_reads_and_writes(broker: Broker, session: object, tmp_path: Path) -> None:
    topic = broker.topic()
    settings = with_user(broker, tmp_path / "home", "reader", topic)
    broker.send(topic, pages(0, 3))
    assert delivered(settings, topic) == [None]
    assert Reader(session, settings).bronze() == 4
    for path in settings.checkpoints.rglob("*"):
        assert path.is_dir() or PASSWORD.encode() not in path.read_bytes()


def test_a_producer_without_rights_is_refused(broker: Broker, tmp_path: Path) -> None:
    topic = broker.topic()
    settings = with_user(broker, tmp_path / "home", "outsider", topic)
    # The broker refuses the producer's id and the topic; which answer comes first is its affair.
    (refused,) = delivered(settings, topic)
    assert refused in {"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "_FATAL"}
    with pytest.raises(AuthError, match=f"TOPIC_AUTHORIZATION_FAILED.*{LOGIN}"):
        look(settings, [topic])


def test_a_wrong_password_is_no_crash_and_names_what_to_check(broker: Broker, tmp_path: Path) -> None:
    settings = with_user(broker, tmp_path / "home", "reader", "t", "wrong")
    with pytest.raises((AuthError, RetryableError), match=r"Kafka at 127\.0\.0\.1"):
        look(settings, ["t"])


def test_no_broker_stops_kafka_only(
    reader: Callable[..., Reader], monkeypatch: pytest.MonkeyPatch, session: object
) -> None:
    home = reader("t")
    settings = home.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:9", "kafka_request_seconds": 2})
    code, said = Reader(home.session, settings).command("run")
    assert (code, "does not answer" in said) == (1, True)
