"""Which contracts a micro-batch is judged by: those it was first begun with, however often it is delivered.

A batch that a crash left half written would otherwise, after a change of a contract, find its messages elsewhere than the
first time: a message that is in silver would reach quarantine too, or none of both. `checkpoints/silver.contracts.json`
holds the contracts in force and, of the last two changes, the batch that each came with.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from expectations import contracts
from expectations.contracts import EventContract, SourceContract
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.lake.checkpoints import SILVER, entries, folder

KEPT = 2


@dataclass(frozen=True)
class InForce:
    """The contracts of one stretch of batches: from `since` on."""

    since: int
    sources: dict[str, SourceContract]
    events: dict[str, EventContract]

    def to_json(self) -> dict[str, Any]:
        """As `from_json` reads it."""
        return {
            "since": self.since,
            "sources": {name: source.model_dump(mode="json") for name, source in self.sources.items()},
            "events": {name: event.model_dump(mode="json") for name, event in self.events.items()},
        }

    @staticmethod
    def from_json(found: dict[str, Any]) -> "InForce":
        """Raises pydantic's ValidationError when a contract of then is none to this version of the program."""
        return InForce(
            int(found["since"]),
            {name: SourceContract.model_validate(source) for name, source in found["sources"].items()},
            {name: EventContract.model_validate(event) for name, event in found["events"].items()},
        )


class ContractHistory:
    """Gives each batch its contracts; a batch that has never been begun gets those of today, and that is written down."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.today = InForce(0, contracts.sources(), contracts.events())
        self._checkpoint = ""
        self._stretches: list[InForce] = []

    def of_batch(self, checkpoint: str, batch_id: int, *, is_begun: bool) -> InForce:
        """The contracts of the batch. `is_begun`: it may have been delivered before."""
        if checkpoint != self._checkpoint:
            self._checkpoint, self._stretches = checkpoint, _read(self._settings, checkpoint)
        earlier = [stretch for stretch in self._stretches if stretch.since <= batch_id]
        if is_begun and earlier:
            return earlier[-1]
        newest = self._stretches[-1] if self._stretches else None
        if newest and (newest.sources, newest.events) == (self.today.sources, self.today.events):
            return newest
        self._stretches = [*self._stretches, InForce(batch_id, self.today.sources, self.today.events)][-KEPT:]
        found = {"checkpoint": checkpoint, "stretches": [stretch.to_json() for stretch in self._stretches]}
        write_durably(history_file(self._settings), json.dumps(found))
        return self._stretches[-1]


def history_file(settings: Settings) -> Path:
    """Beside Spark's folder."""
    return settings.checkpoints / "silver.contracts.json"


def last_begun(settings: Settings) -> int:
    """The newest batch that the silver stream has planned; -1 before any."""
    return max(entries(folder(settings, SILVER) / "offsets"), default=-1)


def _read(settings: Settings, checkpoint: str) -> list[InForce]:
    file = history_file(settings)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return (
        [InForce.from_json(stretch) for stretch in found["stretches"]] if found.get("checkpoint") == checkpoint else []
    )
