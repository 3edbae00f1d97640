"""Which contracts a micro-batch is judged by: those it was first begun with, however often it is delivered.

A batch that a crash left half written would otherwise, after a change of a contract, find its messages elsewhere than the
first time: a message that is in silver would reach quarantine too, or none of both. `checkpoints/silver.contracts.json`
holds the contracts in force and those before, each with the batch that they came with.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from expectations import contracts
from expectations.contracts import EventContract, SourceContract
from jobs.core.errors import PermanentError
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.lake.checkpoints import SILVER, entries, folder

KEPT = 2
Stretch = dict[str, Any]


@dataclass(frozen=True)
class InForce:
    """The contracts of one stretch of batches: from `since` on."""

    since: int
    sources: dict[str, SourceContract]
    events: dict[str, EventContract]

    def to_json(self) -> Stretch:
        """As `from_json` reads it."""
        return {
            "since": self.since,
            "sources": {name: source.model_dump(mode="json") for name, source in self.sources.items()},
            "events": {name: event.model_dump(mode="json") for name, event in self.events.items()},
        }

    @staticmethod
    def from_json(found: Stretch) -> "InForce":
        """Raises ValidationError when a contract of then is none to this version of the program."""
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
        self._current: InForce | None = None

    def of_batch(self, checkpoint: str, batch_id: int, *, is_begun: bool) -> InForce:
        """The contracts of the batch. `is_begun`: it may have been delivered before.

        Raises PermanentError when it was begun with contracts that this version cannot read.
        """
        if is_begun:
            stretches = [found for found in _read(self._settings, checkpoint) if found["since"] <= batch_id]
            if stretches:
                return self._as_then(stretches[-1], batch_id)
        if self._current is None:
            self._current = self._begin(checkpoint, batch_id)
        return self._current

    def _begin(self, checkpoint: str, batch_id: int) -> InForce:
        """Those of today, in force from this batch on unless they are already."""
        stretches = _read(self._settings, checkpoint)
        fresh = InForce(batch_id, self.today.sources, self.today.events)
        if stretches and fresh.to_json() == stretches[-1] | {"since": batch_id}:
            return InForce(stretches[-1]["since"], fresh.sources, fresh.events)
        kept = [*stretches, fresh.to_json()][-KEPT:]
        self._settings.checkpoints.mkdir(parents=True, exist_ok=True)
        write_durably(history_file(self._settings), json.dumps({"checkpoint": checkpoint, "stretches": kept}))
        return fresh

    def _as_then(self, stretch: Stretch, batch_id: int) -> InForce:
        try:
            return InForce.from_json(stretch)
        except ValidationError as error:
            raise PermanentError(
                f"batch {batch_id} of silver was begun with contracts that this version cannot read: finish it with the version "
                f"before, or remove {history_file(self._settings)} to have it judged by the contracts of today"
            ) from error


def history_file(settings: Settings) -> Path:
    """Beside Spark's folder."""
    return settings.checkpoints / "silver.contracts.json"


def last_begun(settings: Settings) -> int:
    """The newest batch that the silver stream has planned; -1 before any."""
    return max(entries(folder(settings, SILVER) / "offsets"), default=-1)


def _read(settings: Settings, checkpoint: str) -> list[Stretch]:
    file = history_file(settings)
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return list(found["stretches"]) if found.get("checkpoint") == checkpoint else []
