"""Which profile id each component gets: the oldest one it already has, or a new one made from its oldest identifier."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jobs.core.profile_ids import founded_profile_id
from jobs.identity.edges import Ints, Nodes

Identifier = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """Where an identifier belonged after the last run, and since when (microseconds since 1970 UTC)."""

    profile_id: str
    valid_from: int


@dataclass(frozen=True)
class Change:
    """One thing that happened to profiles: `node` is the identifier it is told by; `cause` the merge in force that an undo
    ends, `asked` the one that a person named; the rest as in `identity_ledger`."""

    action: str
    profile_id: str
    other_profile_id: str | None
    node: int
    cause: str | None = None
    asked: str | None = None


@dataclass(frozen=True)
class Resolution:
    """`profile_ids[component]` and what changed against the last run; `before[node]` is the id it had then, or None."""

    profile_ids: list[str]
    before: list[str | None]
    changes: list[Change]

    @property
    def merges(self) -> dict[str, str]:
        """Id merged away → id that lives on."""
        return {c.other_profile_id: c.profile_id for c in self.changes if c.action == "merge" and c.other_profile_id}


def assign(nodes: Nodes, label: Ints, known: Mapping[Identifier, Known], retired: frozenset[str]) -> Resolution:
    """Gives each component its id.

    A known id goes to the component that holds its strongest identifier. A component with several keeps the oldest (by
    the first sight of its identifiers) and the others are merged into it. A component without one is new; or, when its
    identifiers left a profile that lives on elsewhere, split off. `retired` ids were merged away and never come back.
    """
    before = [k.profile_id if (k := known.get(pair)) else None for pair in zip(nodes.types, nodes.values, strict=True)]
    home = _homes(before, label)
    ages = _ages(nodes, known)
    claims: dict[int, list[str]] = {}
    for profile_id, component in home.items():
        claims.setdefault(component, []).append(profile_id)
    taken = set(home) | retired
    profile_ids: list[str] = []
    changes: list[Change] = []
    for component, oldest in enumerate(_oldest_nodes(nodes, label)):
        claimed = sorted(claims.get(component, []), key=lambda p: ages[p])
        if claimed:
            profile_ids.append(claimed[0])
            changes += [Change("merge", claimed[0], other, oldest) for other in claimed[1:]]
            continue
        fresh = new_profile_id(nodes.types[oldest], nodes.values[oldest], taken)
        taken.add(fresh)
        profile_ids.append(fresh)
        left = before[oldest]
        changes.append(Change("split", left, fresh, oldest) if left else Change("create", fresh, None, oldest))
    return Resolution(profile_ids, before, _following(changes))


def new_profile_id(identifier_type: str, value: str, taken: set[str] | frozenset[str] = frozenset()) -> str:
    """The first id that the identifier founds and that is not taken."""
    attempt = 0
    while (candidate := founded_profile_id(identifier_type, value, attempt)) in taken:
        attempt += 1
    return candidate


def _homes(before: list[str | None], label: Ints) -> dict[str, int]:
    home: dict[str, int] = {}
    for node, profile_id in enumerate(before):  # nodes come strongest first
        if profile_id is not None:
            home.setdefault(profile_id, int(label[node]))
    return home


def _ages(nodes: Nodes, known: Mapping[Identifier, Known]) -> dict[str, tuple[int, int, str]]:
    rank = dict(zip(nodes.types, nodes.type_rank.tolist(), strict=True))
    ages: dict[str, tuple[int, int, str]] = {}
    for (kind, value), entry in known.items():
        age = (entry.valid_from, rank.get(kind, len(rank)), value)
        ages[entry.profile_id] = min(age, ages.get(entry.profile_id, age))
    return ages


def _oldest_nodes(nodes: Nodes, label: Ints) -> list[int]:
    order = nodes.by_age()
    _, first = np.unique(label[order], return_index=True)
    return [int(node) for node in order[first]]


def _following(changes: list[Change]) -> list[Change]:
    """A split names the profile that lives on: if that one was merged away in this very run, the one it went into."""
    into = {c.other_profile_id: c.profile_id for c in changes if c.action == "merge"}
    return [
        Change(c.action, into.get(c.profile_id, c.profile_id), c.other_profile_id, c.node) if c.action == "split" else c
        for c in changes
    ]
