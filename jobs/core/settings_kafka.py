"""Kafka as a source and as the collector's sink: a part of `Settings`, in a file of its own. No secret is a setting."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, field_validator, model_validator

KIB, MIB = 2**10, 2**20
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
SOURCE = re.compile(r"[a-z][a-z0-9_]{0,63}")
LOGIN = "kafka_password"


class KafkaSettings(BaseModel):
    """Which brokers and topics, how to be let in, and what a record may weigh. Set as `C360_KAFKA_*`."""

    kafka_bootstrap_servers: str | None = Field(
        default=None, pattern=r"^[^,\s]+:\d+(,[^,\s]+:\d+)*$", description="Brokers, host:port with commas between"
    )
    kafka_topics: str = Field(
        default="", description="Topics to read and the source contract of each: shop.events=web,tills=pos"
    )
    kafka_collector_topic: str | None = Field(
        default=None,
        description="Topic that the collector alone may write; what it notes beside a message is believed there only",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="How brokers are spoken to; without TLS on this machine only"
    )
    kafka_allow_plaintext: bool = Field(
        default=False, description="Speak to brokers on other machines without TLS; personal data is readable there"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", description="How the user proves itself"
    )
    kafka_username: str | None = Field(
        default=None,
        pattern=r"^[^\"\\\s;]{1,200}$",
        description=f"User of a SASL_* protocol; the password is the secret {LOGIN}",
    )
    kafka_ca_file: Path | None = Field(default=None, description="Certificates (PEM) that vouch for the brokers")
    kafka_client_file: Path | None = Field(
        default=None, description="Our certificate chain and unencrypted PKCS#8 key in one PEM file, mode 0600"
    )
    kafka_batch_records: int = Field(default=100_000, ge=1, description="Most records of one topic per micro-batch")
    kafka_record_bytes: int = Field(
        default=MIB, ge=KIB, le=64 * MIB, description="Longest record that is kept whole; of others the head is kept"
    )
    kafka_headers: str = Field(
        default="", description="Record headers to keep (comma list) in the receipt; all others are dropped"
    )
    kafka_request_seconds: float = Field(default=15, gt=0, description="Patience with a broker that does not answer")
    kafka_delivery_seconds: float = Field(
        default=10, gt=0, description="Patience with the delivery of the collector's messages before it answers 503"
    )

    @field_validator("kafka_topics", "kafka_headers")
    @classmethod
    def _no_blanks(cls, value: str) -> str:
        return ",".join(part for part in (piece.strip() for piece in value.split(",")) if part)

    @model_validator(mode="after")
    def _topics_are_sound(self) -> "KafkaSettings":
        pairs = [pair.partition("=") for pair in self.kafka_topics.split(",") if pair]
        for topic, equals, source in pairs:
            if not (equals and TOPIC.fullmatch(topic) and SOURCE.fullmatch(source)):
                raise ValueError(
                    f"kafka_topics: expected topic=source with commas between, found {topic}{equals}{source}"
                )
        topics = [topic for topic, _, _ in pairs]
        if self.kafka_collector_topic is not None:
            if not TOPIC.fullmatch(self.kafka_collector_topic):
                raise ValueError("kafka_collector_topic: letters, digits, dot, dash and underscore only")
            topics.append(self.kafka_collector_topic)
        twice = sorted({topic for topic in topics if topics.count(topic) > 1})
        if twice:
            raise ValueError(f"kafka_topics: {', '.join(twice)} is named twice; a topic has one source")
        return self

    @property
    def kafka_sources(self) -> dict[str, str | None]:
        """Topic → source of its messages; None for the collector's own topic, whose messages each name theirs."""
        pairs = (pair.partition("=") for pair in self.kafka_topics.split(",") if pair)
        found: dict[str, str | None] = {topic: source for topic, _, source in pairs}
        return found | ({self.kafka_collector_topic: None} if self.kafka_collector_topic else {})

    @property
    def has_kafka(self) -> bool:
        """Whether there are brokers and topics to read from."""
        return bool(self.kafka_bootstrap_servers and self.kafka_sources)
