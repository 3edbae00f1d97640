"""The collector's settings: a part of `Settings`, in a file of its own because there are many limits at a public door."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

KIB, MIB = 2**10, 2**20
LARGEST = 10 * MIB  # so that a message, quoted or in base64, stays within a line of the landing log


class CollectorSettings(BaseModel):
    """Where the collector listens, what it refuses, and when the landing log is rotated. Set as `C360_COLLECTOR_*`."""

    collector_host: str = Field(default="127.0.0.1", description="Address the collector binds to")
    collector_port: int = Field(default=8090, ge=0, le=65535, description="Port of the collector; 0 takes a free one")
    collector_sink: Literal["landing", "kafka"] = Field(
        default="landing",
        description="What must hold a message before its sender is answered: the disk, or kafka_collector_topic",
    )
    collector_tls_cert: Path | None = Field(default=None, description="Certificate chain (PEM) of the collector")
    collector_tls_key: Path | None = Field(default=None, description="Private key (PEM) of the collector's certificate")
    collector_trusted_proxies: str = Field(
        default="", description="Addresses (comma list) whose X-Forwarded-For is believed; empty means nobody's"
    )
    collector_public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="Address by which others reach the collector through a proxy; webhook signatures cover it",
    )
    collector_body_bytes: int = Field(
        default=512 * KIB, ge=KIB, le=LARGEST, description="Largest request body on the wire"
    )
    collector_inflated_bytes: int = Field(
        default=5 * MIB, ge=KIB, le=LARGEST, description="Largest request body after gunzip"
    )
    collector_message_bytes: int = Field(default=MIB, ge=KIB, le=LARGEST, description="Largest message")
    collector_batch_messages: int = Field(default=10_000, ge=1, description="Most messages in one batch")
    collector_depth: int = Field(default=32, ge=4, le=500, description="Deepest nesting of a message")
    collector_header_bytes: int = Field(default=64 * KIB, ge=KIB, description="Largest request head")
    collector_read_seconds: float = Field(default=10, gt=0, description="Time for a request to arrive whole")
    collector_connections: int = Field(default=20_000, ge=1, description="Most open connections")
    collector_key_rate: float = Field(default=100_000, gt=0, description="Messages per second and write key")
    collector_ip_rate: float = Field(default=10_000, gt=0, description="Requests per second and address")
    collector_queue_bytes: int = Field(
        default=64 * MIB, ge=MIB, description="Most bytes arriving, and most waiting for the disk"
    )
    collector_rotate_seconds: float = Field(default=1, gt=0, description="Age at which a landing-log segment is sealed")
    collector_rotate_bytes: int = Field(
        default=8 * MIB, ge=KIB, description="Size at which a landing-log segment is sealed"
    )
