"""What a run will read of each topic: where it goes on, in which checkpoint; or why the source must stop."""

import logging
from dataclasses import dataclass
from pathlib import Path

from expectations import contracts
from jobs.core.context import Context
from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.failpoints import Sabotage, sabotaged
from jobs.ingest.kafka.checkpoint import read_offsets, stretch_of
from jobs.ingest.kafka.guard import Gap, OffsetGapError, find_gaps, next_offsets
from jobs.ingest.kafka.ledger import KnownTopic, Ledger
from jobs.ingest.kafka.position import check_limits
from jobs.transport.kafka import TopicState, look

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TopicPlan:
    """How to read one topic. `source` None: the collector's own, each message names its source. `waiting` offsets unread."""

    life: KnownTopic
    source: str | None
    checkpoint: Path
    places: dict[int, int]
    waiting: int


@dataclass(frozen=True)
class TopicView:
    """A topic as we left it and as it is now."""

    life: KnownTopic
    places: dict[int, int]
    now: TopicState | None
    accepted: int

    @property
    def gaps(self) -> list[Gap]:
        """Why it cannot be read on; empty when it can."""
        return find_gaps(self.life.topic, self.life.topic_id, self.places, self.now)


def views(context: Context, *, remember: bool = True) -> list[TopicView]:
    """Every topic of the settings; new ones are met now, to be read from the earliest offset they hold. Who only looks
    does not `remember` that.

    Raises RetryableError when brokers do not answer or a new topic does not exist.
    """
    settings = context.settings
    _check_sources(settings.kafka_sources)
    ledger = Ledger(context)
    states = look(settings, settings.kafka_sources)
    return [_view(context, ledger, topic, states.get(topic), remember=remember) for topic in settings.kafka_sources]


def _view(context: Context, ledger: Ledger, topic: str, now: TopicState | None, *, remember: bool) -> TopicView:
    life = ledger.topic(topic)
    if life is None:
        if now is None:
            raise RetryableError(f"Kafka has no topic {topic}; create it or take it out of C360_KAFKA_TOPICS")
        first = {partition: span.earliest for partition, span in now.partitions.items()}
        life = ledger.meet(now, first, remember=remember)
    accepted = ledger.accepted(life)
    known = now is not None and now.topic_id == life.topic_id
    partitions = now.partitions if now is not None and known else {}
    places = next_offsets(read_offsets(context.settings, life, len(accepted)), accepted, partitions)
    return TopicView(life, places, now, len(accepted))


def _check_sources(sources: dict[str, str | None]) -> None:
    if not sources:
        raise UsageError("no Kafka topics; set C360_KAFKA_TOPICS, e.g. shop.events=web")
    unknown = sorted({name for name in sources.values() if name is not None} - set(contracts.sources()))
    if unknown:
        raise UsageError(f"C360_KAFKA_TOPICS names {', '.join(unknown)}: no contract in expectations/contracts/sources")


def make_plans(context: Context) -> list[TopicPlan]:
    """A plan per topic. Raises OffsetGapError when any of them has an open gap: then none is read."""
    found = views(context)
    gaps = [gap for view in found for gap in view.gaps]
    if gaps and not sabotaged(context.settings, Sabotage.IGNORE_DATA_LOSS):
        raise OffsetGapError(gaps)
    return [_plan(context, view) for view in found]


def _plan(context: Context, view: TopicView) -> TopicPlan:
    settings, life = context.settings, view.life
    if view.now is None:
        raise PermanentError(f"{life.topic} is gone")
    spans = view.now.partitions
    check_limits(life.number, life.base, view.places)
    in_doubt = sum(span.high - span.end for span in spans.values())
    if in_doubt:
        log.warning("kafka: %s: %d records wait for an open transaction to end", life.topic, in_doubt)
    waiting = sum(max(0, spans[p].end - place) for p, place in view.places.items() if p in spans)
    checkpoint = stretch_of(settings, life, view.accepted)
    return TopicPlan(life, settings.kafka_sources[life.topic], checkpoint, view.places, waiting)
