"""The three gates and what each one judges."""

from dataclasses import dataclass
from typing import Literal

from expectations import contracts
from jobs.core.catalog import TABLES, Layer
from jobs.core.errors import UsageError


@dataclass(frozen=True)
class Gate:
    """A border: which tables are judged there, where they are read, and what a blocked gate keeps from happening."""

    name: str
    place: Literal["lake", "build"]
    protects: str
    remedy: str
    may_be_empty: bool

    @property
    def tables(self) -> tuple[contracts.TableContract, ...]:
        """Contracts of the judged tables: those of the lake that are marked `gated`, or the public marts."""
        if self.place == "build":
            return tuple(c for c in contracts.marts().values() if c.gated)
        layer = Layer.SILVER if self.name == "silver" else Layer.GOLD
        return tuple(t.contract for t in TABLES.values() if t.layer is layer and t.contract.gated)

    def relation(self, table: str) -> str:
        """Name of the table in the connection of this gate."""
        return f"marts.{table}" if self.place == "build" else table


_ALL = (
    Gate(
        "silver",
        "lake",
        "profiles are not built from it",
        "repair the source or its contract, ingest again",
        may_be_empty=False,
    ),
    # Marts whose contract says min_rows: 0 may be empty: the first build comes before the first scoring.
    Gate(
        "marts",
        "build",
        "the published warehouse stays as it was",
        "repair the dbt model or its input, build again",
        may_be_empty=True,
    ),
    Gate(
        "scores",
        "lake",
        "the scores are not published",
        "score again, or put the last champion back",
        may_be_empty=False,
    ),
)
GATES = {gate.name: gate for gate in _ALL}


def find_gate(name: str) -> Gate:
    """The gate by name; raises UsageError with the known names."""
    if name not in GATES:
        raise UsageError(f"unknown gate {name!r}; known: {', '.join(GATES)}")
    return GATES[name]
