"""What earlier identity runs have left, read once per run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.identity import aliases, assignments, separations
from jobs.identity.edges import Nodes
from jobs.identity.ledger import Row, undone_merges
from jobs.identity.profiles import Identifier, Known
from jobs.identity.separations import Separation
from jobs.lake import delta

UNKNOWN = -(2**63)  # since when an identifier is known, where only the assignments tell of it


@dataclass(frozen=True)
class State:
    """Where identifiers belonged, the ledger, the undone merges; `assigned` is the newest version in the assignments."""

    renamed: Mapping[str, str]
    known: Mapping[Identifier, Known]
    ledger: list[Row]
    separations: list[Separation]
    assigned: int

    @property
    def profiles(self) -> int:
        """How many there were."""
        return len({entry.profile_id for entry in self.known.values()})

    @property
    def has_assignments(self) -> bool:
        """False in a home from before there was that table."""
        return self.assigned >= 0

    @property
    def version(self) -> int:
        """Of the newest run that wrote anything; 0 before the first."""
        return max([0, self.assigned, *(int(row["ledger_version"]) for row in self.ledger)])

    @property
    def undone(self) -> list[Separation]:
        """Those that are not carried out: the ledger does not tell of them, or both sides are still of one profile."""
        told = undone_merges(self.ledger)
        waiting = {row["entry_id"] for row in self.ledger if row["action"] == "merge"} - told
        return [s for s in self.separations if s.merge_entry_id in waiting or separations.joined(s, self.known)]

    def with_undo(self, rows: Sequence[Row]) -> "State":
        """With one more separation, not yet written."""
        return replace(self, separations=[*self.separations, *separations.separations_of(rows, self.renamed)])

    def aged(self, nodes: Nodes) -> "State":
        """Where the map was not there to say it: known since their first sight, and none that silver does not show any more."""
        if all(entry.valid_from != UNKNOWN for entry in self.known.values()):
            return self
        pairs = zip(nodes.types, nodes.values, nodes.first_seen.tolist(), strict=True)
        first_seen = {(kind, value): at for kind, value, at in pairs}
        known = {p: replace(entry, valid_from=first_seen[p]) for p, entry in self.known.items() if p in first_seen}
        return replace(self, known=known)


def read_state(settings: Settings, *, from_ledger: bool = False) -> State:
    """The tables of identity, under the tokens of today. `from_ledger`, or where `profile_identifiers` is empty: who is known is
    taken from the assignments beside the ledger.

    Raises PermanentError when there are none.
    """
    renamed = aliases.read_aliases(settings)
    rows = delta.read(settings, "identity_ledger").to_pylist()
    assigned = assignments.newest_version(settings)
    known = known_identifiers(delta.read(settings, "profile_identifiers"), renamed)
    if from_ledger and assigned < 0 and (known or rows):
        raise PermanentError("this home has no identity_assignments to rebuild from; run c360 identity run first")
    is_lost = not known and assigned >= 0  # by somebody's hand, or a first run was killed: people keep their ids
    if from_ledger or is_lost:
        last = assignments.last(assignments.read(settings, renamed))
        known = {pair: Known(row["profile_id"], UNKNOWN) for pair, row in last.items()}
    separated = separations.separations_of(delta.read(settings, "identity_separations").to_pylist(), renamed)
    return State(renamed, known, rows, separated, assigned)


def known_identifiers(table: pa.Table, renamed: Mapping[str, str]) -> dict[Identifier, Known]:
    """The identifier map of the last run, by (type, value); old tokens of a rotated key under their new name."""
    since = table["valid_from"].cast(pa.int64()).to_pylist()
    values = [renamed.get(value, value) for value in table["identifier_value"].to_pylist()]
    pairs = zip(table["identifier_type"].to_pylist(), values, strict=True)
    owners = zip(table["profile_id"].to_pylist(), since, strict=True)
    return {pair: Known(owner, at) for pair, (owner, at) in zip(pairs, owners, strict=True)}
