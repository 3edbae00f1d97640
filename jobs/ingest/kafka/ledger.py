"""What is remembered of Kafka between runs: topics by their id (ops_kafka_topics) and accepted gaps (ops_accepted_gaps)."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.kafka.guard import Accepted, Gap
from jobs.lake.delta import append, read
from jobs.lake.schema import arrow_schema
from jobs.transport.kafka import TopicState

log = logging.getLogger(__name__)
TOPICS, GAPS = "ops_kafka_topics", "ops_accepted_gaps"


@dataclass(frozen=True)
class KnownTopic:
    """One life of a topic. `number` is its place among all we have met, `incarnation` counts the lives of its name, `base`
    is added to its offsets in receive_position (so that it comes after the life before), `first` says where we began."""

    topic: str
    topic_id: str
    number: int
    incarnation: int
    base: int
    first: dict[int, int]

    @property
    def label(self) -> str:
        """Its name in origins and paths; `~` is in no topic's name."""
        return self.topic if self.incarnation == 1 else f"{self.topic}~{self.incarnation}"


class Ledger:
    """Both tables, read once; written by appends that a repetition does not double."""

    def __init__(self, context: Context) -> None:
        self._context = context
        rows = sorted(read(context.settings, TOPICS).to_pylist(), key=lambda row: row["topic_number"])
        self.lives = [_known(row) for row in rows]

    def topic(self, name: str) -> KnownTopic | None:
        """The life of the topic that is being read."""
        lives = [life for life in self.lives if life.topic == name]
        return lives[-1] if lives else None

    def accepted(self, life: KnownTopic) -> list[Accepted]:
        """Gaps of this life that reading goes on behind."""
        rows = accepted_gaps(self._context.settings)
        mine = [row for row in rows if row["topic_id"] == life.topic_id and row["last_offset"] is not None]
        return [Accepted(row["partition"], row["first_offset"], row["last_offset"]) for row in mine]

    def meet(self, state: TopicState, first: dict[int, int], *, base: int = 0, remember: bool = True) -> KnownTopic:
        """A topic's new life, to be read from `first` on (missing partitions: from 0); written down to `remember` it."""
        incarnation = 1 + sum(life.topic == state.topic for life in self.lives)
        number = 1 + max((life.number for life in self.lives), default=0)
        life = KnownTopic(state.topic, state.topic_id, number, incarnation, base, first)
        if not remember:
            return life
        log.info("kafka: %s is met for the first time, to be read from %s", life.label, first or "offset 0")
        offsets = json.dumps({str(partition): offset for partition, offset in first.items()})
        row = {
            "topic": life.topic, "topic_id": life.topic_id, "topic_number": number, "incarnation": incarnation,
            "offset_base": base, "first_offsets": offsets, "run_id": self._context.run_id,
            "recorded_at": self._context.clock.now(),
        }  # fmt: skip
        self._append(TOPICS, [row], app_id=f"topic:{state.topic_id}", version=1)
        self.lives.append(life)
        return life

    def accept(self, life: KnownTopic, gaps: list[Gap], *, why: str) -> None:
        """Writes down that a person accepts these gaps of one topic."""
        rows = [
            {
                "topic": gap.topic, "topic_id": life.topic_id, "partition": gap.partition, "kind": gap.kind.value,
                "first_offset": gap.first, "last_offset": gap.last, "record_count": gap.records, "why": why,
                "run_id": self._context.run_id, "recorded_at": self._context.clock.now(),
            }
            for gap in gaps
        ]  # fmt: skip
        marks = "-".join(f"{gap.partition}.{gap.first}" for gap in gaps)
        self._append(GAPS, rows, app_id=f"gap:{life.topic_id}:{marks}", version=max((g.last or 0) for g in gaps))

    def _append(self, name: str, rows: list[dict[str, Any]], *, app_id: str, version: int) -> None:
        table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract))
        append(self._context.settings, name, table, app_id=app_id, app_version=version)


def accepted_gaps(settings: Settings) -> list[dict[str, Any]]:
    """All accepted gaps, oldest first."""
    rows: list[dict[str, Any]] = read(settings, GAPS).to_pylist()
    return sorted(rows, key=lambda row: (str(row["recorded_at"]), row["topic"], row["partition"], row["first_offset"]))


def _known(row: dict[str, str | int]) -> KnownTopic:
    first = {int(key): int(value) for key, value in json.loads(str(row["first_offsets"])).items()}
    number, incarnation, base = (int(row[name]) for name in ("topic_number", "incarnation", "offset_base"))
    return KnownTopic(str(row["topic"]), str(row["topic_id"]), number, incarnation, base, first)
