"""Counts for Prometheus: per source, endpoint and code. No label ever holds what a sender wrote."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from jobs.ingest.collector.sink import Sink

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The collector's counters; one registry per app, so that tests do not share them."""

    def __init__(self, sink: Sink) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "c360_collector_requests",
            "Requests by what became of them",
            ["source", "endpoint", "status", "code"],
            registry=self.registry,
        )
        self._messages = Counter(
            "c360_collector_messages",
            "Messages: ok is durable and unjudged, other codes were kept for quarantine or refused",
            ["source", "endpoint", "code"],
            registry=self.registry,
        )
        self._bytes = Counter(
            "c360_collector_body_bytes", "Body bytes on the wire", ["source", "endpoint"], registry=self.registry
        )
        self._seconds = Histogram(
            "c360_collector_durable_seconds",
            "Time from a request's last byte to its answer, durable requests only",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        healthy = Gauge(
            "c360_collector_sink_healthy",
            "1 while the latest attempt to make messages durable succeeded",
            registry=self.registry,
        )
        healthy.set_function(lambda: float(sink.is_healthy))

    def count_request(self, source: str, endpoint: str, status: int, code: str) -> None:
        """One answered request."""
        self._requests.labels(source, endpoint, status, code).inc()

    def count_messages(self, source: str, endpoint: str, code: str, count: int) -> None:
        """Messages of a request that ended with the same code."""
        self._messages.labels(source, endpoint, code).inc(count)

    def count_bytes(self, source: str, endpoint: str, size: int) -> None:
        """The wire size of a body that was read whole."""
        self._bytes.labels(source, endpoint).inc(size)

    def durable_after(self, seconds: float) -> None:
        """How long a sender waited for the disk."""
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Everything, in the Prometheus text format."""
        return generate_latest(self.registry)
