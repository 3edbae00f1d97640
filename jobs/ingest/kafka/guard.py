"""The offset guard: may a topic be read on from where we stopped, or has something gone that we never saw? Pure.

The sure sign of a loss is that the earliest offset the broker still holds lies beyond the next one we would read. Offsets
that are skipped while reading (control records, aborted transactions, compaction) lie above the earliest and are none. A topic
that was deleted and made anew is known by its id, whatever its offsets say.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from jobs.core.errors import ExitCode, PermanentError
from jobs.transport.kafka import TopicState


class GapKind(StrEnum):
    """What stands between us and the next record."""

    DELETED = "deleted"
    RECREATED = "recreated"
    SHORTENED = "shortened"
    MISSING = "missing"


@dataclass(frozen=True)
class Gap:
    """Offsets `first` to `last` (inclusive) of a partition that can no longer be read; `last` None where nobody knows."""

    topic: str
    partition: int
    first: int
    last: int | None
    kind: GapKind

    @property
    def records(self) -> int | None:
        """How many offsets it spans; control records among them count, for nobody can tell any more."""
        return None if self.last is None else self.last - self.first + 1

    def __str__(self) -> str:
        place = f"{self.topic} partition {self.partition}"
        if self.kind is GapKind.DELETED:
            return f"{place}: offsets {self.first} to {self.last} ({self.records} records) were deleted before they were read"
        if self.kind is GapKind.RECREATED:
            return f"{place}: the topic was deleted and made anew; the old one was unread from offset {self.first} on"
        if self.kind is GapKind.SHORTENED:
            return f"{place}: it was read to offset {self.first - 1} and now ends before; its log was cut back"
        return f"{place}: the topic is gone; it was unread from offset {self.first} on"

    @property
    def remedy(self) -> str:
        """The command, or what a person has to do."""
        if self.kind is GapKind.DELETED:
            return f"c360 ingest kafka accept {self.topic} {self.partition} --from {self.first} --to {self.last} --why TEXT"
        if self.kind is GapKind.RECREATED:
            return f"c360 ingest kafka adopt {self.topic} --why TEXT"
        if self.kind is GapKind.SHORTENED:
            return "find out what was lost with the broker's operator; go on with a new topic"
        return "create the topic again, or take it out of C360_KAFKA_TOPICS"


class OffsetGapError(PermanentError):
    """Records are gone that were never read; a person must accept each gap by its numbers. Exit code 3."""

    exit_code = ExitCode.GATED

    def __init__(self, gaps: list[Gap]) -> None:
        more = f" (and {len(gaps) - 1} more: c360 ingest kafka gaps)" if len(gaps) > 1 else ""
        super().__init__(f"Kafka source stopped: {gaps[0]}{more}; to accept that: {gaps[0].remedy}")
        self.gaps = gaps


@dataclass(frozen=True)
class Accepted:
    """A gap that a person has accepted."""

    partition: int
    first: int
    last: int


def next_offsets(read: dict[int, int], accepted: Iterable[Accepted], partitions: Iterable[int]) -> dict[int, int]:
    """Partition → the next offset to read: behind what is read, and behind accepted gaps that begin there. A partition
    never read begins at 0."""
    after = {(gap.partition, gap.first): gap.last + 1 for gap in accepted}
    found: dict[int, int] = {}
    for partition in sorted({*read, *partitions}):
        place = read.get(partition, 0)
        while (partition, place) in after:
            place = after[partition, place]
        found[partition] = place
    return found


def find_gaps(topic: str, topic_id: str, places: dict[int, int], now: TopicState | None) -> list[Gap]:
    """Every reason why the topic cannot be read on from `places` (of `next_offsets`); empty when it can."""
    if now is None:
        return [Gap(topic, partition, place, None, GapKind.MISSING) for partition, place in places.items()]
    if now.topic_id != topic_id:
        return [Gap(topic, partition, place, None, GapKind.RECREATED) for partition, place in places.items()]
    gaps: list[Gap] = []
    for partition, place in places.items():
        span = now.partitions.get(partition)
        if span is None:
            gaps.append(Gap(topic, partition, place, None, GapKind.MISSING))
        elif span.earliest > place:
            gaps.append(Gap(topic, partition, place, span.earliest - 1, GapKind.DELETED))
        elif span.high < place:
            gaps.append(Gap(topic, partition, place, None, GapKind.SHORTENED))
    return gaps
