"""What became of each row of a sync."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Operation(StrEnum):
    """What a change asks of the destination."""

    ADD = "add"
    UPDATE = "update"
    REMOVE = "remove"


class Outcome(StrEnum):
    """delivered = confirmed by the destination; rejected = will not work as it is; deferred = try again; skipped = never sent."""

    DELIVERED = "delivered"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class RowOutcome:
    """The answer for one row. `reason` is a code, never a value; `acknowledged_at` is set when delivered."""

    key: str
    operation: Operation
    outcome: Outcome
    reason: str | None = None
    row_hash: str | None = None
    idempotency_key: str | None = None
    acknowledged_at: datetime | None = None
