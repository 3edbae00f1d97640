"""Merges that a person has undone: which identifiers stay apart, for good, and which profile lives again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from jobs.identity.edges import Nodes
from jobs.identity.profiles import Identifier, Known

KEPT, PARTED = "kept", "parted"


@dataclass(frozen=True)
class Separation:
    """One undone merge: the identifiers of the two profiles as they were before it, and the two ids."""

    merge_entry_id: str
    kept: frozenset[Identifier]
    parted: frozenset[Identifier]
    kept_id: str
    parted_id: str


@dataclass(frozen=True)
class Apart:
    """The two sides of a separation as node numbers of one graph."""

    kept: frozenset[int]
    parted: frozenset[int]


def separations_of(rows: Iterable[Mapping[str, Any]], renamed: Mapping[str, str]) -> list[Separation]:
    """From rows of `identity_separations`, in the order of their merges; old tokens of a rotated key under their new name."""
    found: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        found.setdefault(row["merge_entry_id"], {KEPT: [], PARTED: []})[row["side"]].append(row)
    return [_separation(entry, sides, renamed) for entry, sides in sorted(found.items())]


def _separation(entry: str, sides: Mapping[str, list[Mapping[str, Any]]], renamed: Mapping[str, str]) -> Separation:
    kept, parted = (
        frozenset(
            (row["identifier_type"], renamed.get(row["identifier_value"], row["identifier_value"])) for row in side
        )
        for side in (sides[KEPT], sides[PARTED])
    )
    return Separation(entry, kept, parted, sides[KEPT][0]["profile_id"], sides[PARTED][0]["profile_id"])


def apart(nodes: Nodes, separations: Iterable[Separation]) -> list[Apart]:
    """Each separation in the numbers of this graph; identifiers that are not in it any more drop out."""
    wanted = {pair for s in separations for pair in s.kept | s.parted}
    if not wanted:
        return []
    pairs = zip(nodes.types, nodes.values, strict=True)
    number = {pair: node for node, pair in enumerate(pairs) if pair in wanted}
    sides = [(s.kept, s.parted) for s in separations]
    return [Apart(*(frozenset(number[p] for p in side if p in number) for side in both)) for both in sides]


def joined(separation: Separation, known: Mapping[Identifier, Known]) -> set[str]:
    """Profiles that hold identifiers of both sides: there are some until the undoing is carried out, and never again."""
    sides = (separation.kept, separation.parted)
    kept, parted = ({known[pair].profile_id for pair in side if pair in known} for side in sides)
    return kept & parted


def living(profile_id: str, redirects: Mapping[str, str]) -> str:
    """The id that stands for this one now."""
    while profile_id in redirects:
        profile_id = redirects[profile_id]
    return profile_id


def restored(
    known: Mapping[Identifier, Known], undone: Iterable[Separation], history: "History"
) -> dict[Identifier, Known]:
    """Where identifiers belong once these merges are undone: whatever followed from one goes back to where it was before
    it, and the run joins and splits again what is to be joined and split on other grounds. An identifier that came later
    belongs where it founded a profile, or nowhere yet."""
    found = dict(known)
    merged = [s for s in undone if s.merge_entry_id in history.merged_at]
    for s in sorted(merged, key=lambda s: -history.merged_at[s.merge_entry_id]):
        version = history.merged_at[s.merge_entry_id]
        followed = history.following(version, s.kept_id)
        for pair, entry in known.items():
            if entry.profile_id not in followed:
                continue
            if (was := history.before(pair, version)) is None:
                found.pop(pair, None)
            else:
                found[pair] = replace(entry, profile_id=was)
    return found


@dataclass(frozen=True)
class History:
    """Profiles of each identifier as (ledger version, profile id), oldest first; ids that were created; the version in which
    an id first had an identifier; merges with their versions."""

    assigned: Mapping[Identifier, list[tuple[int, str]]]
    created: frozenset[str]
    merged_at: Mapping[str, int]

    @cached_property
    def first_at(self) -> dict[str, int]:
        """Profile id → the version in which it first had an identifier."""
        found: dict[str, int] = {}
        for profiles in self.assigned.values():
            for at, owner in profiles:
                found[owner] = min(at, found.get(owner, at))
        return found

    @cached_property
    def moves(self) -> list[tuple[int, str, str]]:
        """(version, from, to) of each identifier that came from one profile to another, by version."""
        pairs = [(a, b) for profiles in self.assigned.values() for a, b in pairwise(profiles)]
        return sorted((at, before, owner) for (_, before), (at, owner) in pairs)

    def before(self, pair: Identifier, version: int) -> str | None:
        """The profile that the identifier had before that version; of a later one, the profile that it founded."""
        profiles = self.assigned.get(pair, [])
        earlier = [owner for at, owner in profiles if at < version]
        if earlier:
            return earlier[-1]
        at, owner = profiles[0] if profiles else (0, "")
        return owner if owner in self.created and self.first_at[owner] == at else None

    def following(self, version: int, profile_id: str) -> set[str]:
        """The profile that lived on in that version, and each that an identifier of one of these has come to since."""
        found = {profile_id}
        for at, before, owner in self.moves:
            if at >= version and before in found:
                found.add(owner)
        return found


def history_of(assigned: Iterable[Mapping[str, Any]], ledger: Iterable[Mapping[str, Any]]) -> History:
    """From all rows of `identity_assignments`, oldest first and under today's tokens, and of the ledger."""
    profiles: dict[Identifier, list[tuple[int, str]]] = {}
    for row in assigned:
        pair = (row["identifier_type"], row["identifier_value"])
        profiles.setdefault(pair, []).append((int(row["ledger_version"]), row["profile_id"]))
    rows = list(ledger)
    created = frozenset(row["profile_id"] for row in rows if row["action"] == "create")
    return History(profiles, created, {r["entry_id"]: int(r["ledger_version"]) for r in rows if r["action"] == "merge"})
