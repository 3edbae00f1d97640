"""What every destination is: a thing that takes a batch of changes and answers for each row."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from jobs.core.definitions import SyncHeader
from jobs.core.settings import Settings
from jobs.sync.outcomes import Operation, RowOutcome


@dataclass(frozen=True)
class Delivery:
    """One row to send. `fields` holds what the destination gets, in the order of the sync's columns; empty for a removal."""

    key: str
    operation: Operation
    idempotency_key: str
    row_hash: str | None
    fields: Mapping[str, object]


@dataclass(frozen=True)
class Batch:
    """The rows of one delivery. `number` names its content: the same changes give the same number, in any run."""

    number: str
    run_id: str
    at: datetime
    rows: Sequence[Delivery]


class Destination(ABC):
    """A destination of one sync. Subclass it in a file of its own, named like the destination, as `DESTINATION`.

    `deliver` returns one outcome per row of the batch, in any order. It must be safe to repeat with the same batch (same
    number, same idempotency keys): a crash after it, before the answers are kept, repeats it.
    Raises RetryableError, PermanentError or AuthError when nothing at all was taken.
    """

    # Stays under C360_HOME, so that a first delivery needs nobody's approval.
    is_local: ClassVar[bool] = False
    # Somebody else's system, so that rows need consent to sharing.
    is_third_party: ClassVar[bool] = True

    def __init__(self, settings: Settings, header: SyncHeader) -> None:
        self.settings = settings
        self.header = header

    @abstractmethod
    def deliver(self, batch: Batch) -> list[RowOutcome]:
        """Sends the batch; one outcome per row."""
