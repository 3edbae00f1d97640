"""The one door to Kafka brokers: who we are to them, what a topic holds now, and a producer. confluent-kafka throughout.

Spark reads with a Java client of its own, for which `spark_options` says the same in other words. The password is a secret
file, never a setting.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from jobs.core.errors import AuthError, PermanentError, RetryableError, UsageError
from jobs.core.secrets import read_secret
from jobs.core.settings import Settings
from jobs.core.settings_kafka import LOGIN

SILENT = 0  # librdkafka writes to standard error by itself; what matters comes back as an error of the call
MODULES = {"PLAIN": "plain.PlainLoginModule"}
SCRAM_MODULE = "scram.ScramLoginModule"
REFUSED = (
    KafkaError._AUTHENTICATION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


@dataclass(frozen=True)
class Span:
    """Offsets of one partition: `earliest` still held · `end` next one that a reader of committed records may read ·
    `high` next one that will be written."""

    earliest: int
    end: int
    high: int


@dataclass(frozen=True)
class TopicState:
    """One topic as its brokers see it now; a topic that is deleted and made anew gets another id."""

    topic: str
    topic_id: str
    partitions: dict[int, Span] = field(default_factory=dict)


def brokers(settings: Settings) -> str:
    """The bootstrap servers. Raises UsageError when none are set, or when they may not be spoken to in plain text."""
    servers = settings.kafka_bootstrap_servers
    if servers is None:
        raise UsageError("no Kafka brokers; set C360_KAFKA_BOOTSTRAP_SERVERS, e.g. kafka-1.example.com:9093")
    plain = settings.kafka_security_protocol in ("PLAINTEXT", "SASL_PLAINTEXT")
    far = [host for host in (server.rpartition(":")[0] for server in servers.split(",")) if not _is_loopback(host)]
    if plain and far and not settings.kafka_allow_plaintext:
        raise UsageError(
            f"{far[0]} is another machine and C360_KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: messages "
            "would be readable on the way; use SSL or SASL_SSL, or set C360_KAFKA_ALLOW_PLAINTEXT=1"
        )
    return servers


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _login(settings: Settings) -> tuple[str, str] | None:
    """(user, password) where the protocol asks for them."""
    if not settings.kafka_security_protocol.startswith("SASL"):
        return None
    if settings.kafka_username is None:
        raise UsageError(f"{settings.kafka_security_protocol} needs C360_KAFKA_USERNAME and the secret {LOGIN}")
    return settings.kafka_username, read_secret(settings, LOGIN)


def _client_file(settings: Settings) -> Path | None:
    path = settings.kafka_client_file
    if path is not None and path.stat().st_mode & 0o077:
        raise PermanentError(f"{path} is readable by others; run: chmod 600 {path}")
    return path


def client_options(settings: Settings) -> dict[str, Any]:
    """How confluent-kafka reaches the brokers."""
    found: dict[str, Any] = {
        "bootstrap.servers": brokers(settings),
        "security.protocol": settings.kafka_security_protocol.lower(),
        "client.id": "c360",
        "log_level": SILENT,
        "socket.timeout.ms": int(settings.kafka_request_seconds * 1000),
    }
    login, pem = _login(settings), _client_file(settings)
    if login is not None:
        found |= {"sasl.mechanism": settings.kafka_sasl_mechanism}
        found |= {"sasl.username": login[0], "sasl.password": login[1]}
    if settings.kafka_ca_file is not None:
        found["ssl.ca.location"] = str(settings.kafka_ca_file)
    if pem is not None:
        found |= {"ssl.certificate.location": str(pem), "ssl.key.location": str(pem)}
    return found


def spark_options(settings: Settings) -> dict[str, str]:
    """The same for the Java client inside Spark, as options of its Kafka source."""
    patience = str(int(settings.kafka_request_seconds * 1000))
    found = {
        "kafka.bootstrap.servers": brokers(settings),
        "kafka.security.protocol": settings.kafka_security_protocol,
        "kafka.isolation.level": "read_committed",
        "kafka.request.timeout.ms": patience,
        "kafka.default.api.timeout.ms": patience,
    }
    login, pem = _login(settings), _client_file(settings)
    if login is not None:
        module = MODULES.get(settings.kafka_sasl_mechanism, SCRAM_MODULE)
        password = login[1].replace("\\", "\\\\").replace('"', '\\"')
        found["kafka.sasl.mechanism"] = settings.kafka_sasl_mechanism
        found["kafka.sasl.jaas.config"] = (
            f'org.apache.kafka.common.security.{module} required username="{login[0]}" password="{password}";'
        )
    if settings.kafka_ca_file is not None:
        found |= {"kafka.ssl.truststore.type": "PEM", "kafka.ssl.truststore.location": str(settings.kafka_ca_file)}
    if pem is not None:
        found |= {"kafka.ssl.keystore.type": "PEM", "kafka.ssl.keystore.location": str(pem)}
    return found


def make_producer(settings: Settings, **options: Any) -> Producer:
    """An idempotent producer that counts a message as delivered when all replicas in sync have it."""
    ours = {"enable.idempotence": True, "acks": "all"}
    return Producer(client_options(settings) | ours | options)


def look(settings: Settings, topics: Iterable[str]) -> dict[str, TopicState]:
    """What the brokers hold of these topics; one that does not exist is left out.

    Raises RetryableError when they do not answer, AuthError when they refuse us.
    """
    admin = AdminClient(client_options(settings))
    patience = settings.kafka_request_seconds
    found: dict[str, TopicState] = {}
    try:
        asked = admin.describe_topics(TopicCollection(sorted(topics)), request_timeout=patience)
        for topic, future in asked.items():
            try:
                described = future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
                continue
            spans = _spans(admin, topic, [part.id for part in described.partitions], patience)
            found[topic] = TopicState(topic, str(described.topic_id), spans)
    except KafkaException as error:
        raise unreachable(settings, error.args[0]) from error
    return found


def _spans(admin: AdminClient, topic: str, numbers: list[int], patience: float) -> dict[int, Span]:
    def ask(spec: OffsetSpec, level: IsolationLevel) -> dict[int, int]:
        asked = {TopicPartition(topic, number): spec for number in numbers}
        answers = admin.list_offsets(asked, isolation_level=level, request_timeout=patience)
        return {place.partition: future.result().offset for place, future in answers.items()}

    earliest = ask(OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
    end = ask(OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
    high = ask(OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
    return {number: Span(earliest[number], end[number], high[number]) for number in sorted(numbers)}


def topic_limit(settings: Settings, topic: str) -> int | None:
    """Bytes that the topic takes in one message (its max.message.bytes); None where the brokers do not say."""
    resource = ConfigResource(ResourceType.TOPIC, topic)
    admin = AdminClient(client_options(settings))  # held: with the client its answers go
    try:
        answers = admin.describe_configs([resource], request_timeout=settings.kafka_request_seconds)
        entry = answers[resource].result().get("max.message.bytes")
    except KafkaException:
        return None
    return int(entry.value) if entry is not None and entry.value else None


def unreachable(settings: Settings, error: KafkaError) -> RetryableError | AuthError:
    """The error of a call in our words."""
    where = f"Kafka at {settings.kafka_bootstrap_servers}"
    if error.code() in REFUSED:
        return AuthError(f"{where} refused us ({error.name()}); check user, secret {LOGIN} and access rights")
    return RetryableError(f"{where} does not answer ({error.name()}); start it or check the address, then run again")
