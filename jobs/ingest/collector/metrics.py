"""Counts for Prometheus: per source, endpoint and code. No label ever holds what a sender wrote."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.ingest.collector.sink import Sink

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """The collector's counters: plain ones while counting, Prometheus' when asked for."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._requests: Counter[tuple[str, str, int, str]] = Counter()
        self._messages: Counter[tuple[str, str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._seconds = Histogram(
            "c360_collector_durable_seconds",
            "Time from a request's last byte to its answer, durable requests only",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )

    def count_request(self, source: str, endpoint: str, status: int, code: str) -> None:
        """One answered request."""
        self._requests[source, endpoint, status, code] += 1

    def count_messages(self, source: str, endpoint: str, code: str, count: int) -> None:
        """Messages of a request that ended with the same code."""
        self._messages[source, endpoint, code] += count

    def count_bytes(self, source: str, endpoint: str, size: int) -> None:
        """The wire size of a body that was read whole."""
        self._bytes[source, endpoint] += size

    def durable_after(self, seconds: float) -> None:
        """How long a sender waited for the disk."""
        self._seconds.observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """Called by the registry."""
        yield _family(
            "c360_collector_requests",
            "Requests by what became of them",
            ["source", "endpoint", "status", "code"],
            self._requests,
        )
        yield _family(
            "c360_collector_messages",
            "Messages: ok is durable and unjudged; other codes were kept for quarantine, not_allowed_for_key was not",
            ["source", "endpoint", "code"],
            self._messages,
        )
        yield _family("c360_collector_body_bytes", "Body bytes on the wire", ["source", "endpoint"], self._bytes)
        healthy = "1 while the latest attempt to make messages durable succeeded"
        yield GaugeMetricFamily("c360_collector_sink_healthy", healthy, value=float(self._sink.is_healthy))

    def text(self) -> bytes:
        """Everything, in the Prometheus text format."""
        return generate_latest(self.registry)


def _family(name: str, text: str, labels: list[str], counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric([str(value) for value in values], count)
    return family
