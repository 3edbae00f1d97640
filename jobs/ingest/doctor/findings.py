"""What the doctor finds: one line each, with its remedy."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

REPAIR = "c360 ingest doctor --repair"


def new_checkpoint(stream: str) -> str:
    """The command that begins anew."""
    return f"c360 ingest doctor --new-checkpoint {stream}"


class Kind(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"  # the next run deals with it by itself
    REPAIR = "repair"  # dropping the newest unfinished entry is enough: its batch is delivered again
    LOST = "lost"  # what the stream has read cannot be told from the checkpoint: a new one, on proof of what is loaded
    CONTRACT = "contract"  # the tables' shape has changed under the stream


@dataclass(frozen=True)
class Finding:
    """`drop`: the files that a repair removes."""

    stream: str
    kind: Kind
    what: str
    drop: tuple[Path, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether a stream must not start on it."""
        return self.kind is not Kind.NOTE

    @property
    def remedy(self) -> str:
        """What to do."""
        return {
            Kind.NOTE: "nothing to do",
            Kind.REPAIR: REPAIR,
            Kind.LOST: new_checkpoint(self.stream),
            Kind.CONTRACT: "restore the contract; a new type needs a new column beside the old one",
        }[self.kind]

    def __str__(self) -> str:
        return f"{self.stream}: {self.what}; remedy: {self.remedy}"
