"""Keeps ids, redirects and ledger in step, whatever a run was cut off in: an id that lives has no merge in force, and one
that has ceased to live has one."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jobs.identity.edges import Ints, Nodes
from jobs.identity.profiles import Change, Identifier, Known, Resolution
from jobs.identity.separations import Separation, apart, living

Merges = Mapping[str, Mapping[str, Any]]  # id merged away → the ledger entry of its merge in force


def reconciled(
    nodes: Nodes,
    label: Ints,
    found: Resolution,
    *,
    known: Mapping[Identifier, Known],
    merges: Merges,
    undone: Sequence[Separation],
) -> Resolution:
    """The resolution with the changes that the ledger has to be told: merges that it tells already are left out; each id that
    lives again is an undo, as is each of `undone`; an id of `known` that nothing has any more goes where its strongest
    identifier has gone."""
    alive = set(found.profile_ids)
    asked = {s.parted_id: s.merge_entry_id for s in undone}
    into = {gone: row["profile_id"] for gone, row in merges.items() if gone not in alive and gone not in asked}
    merged = [change for change in found.changes if not _is_told(change, into)]
    changes = [*merged, *_undoing(nodes, label, found, merges, undone)]
    gone = into | {str(c.other_profile_id): c.profile_id for c in merged if c.action == "merge"}
    return replace(found, changes=[*changes, *_lost(nodes, label, found, known, alive | set(gone))])


def _is_told(change: Change, into: Mapping[str, str]) -> bool:
    other = str(change.other_profile_id)
    return change.action == "merge" and other in into and living(other, into) == change.profile_id


def _undoing(
    nodes: Nodes, label: Ints, found: Resolution, merges: Merges, undone: Sequence[Separation]
) -> Iterator[Change]:
    told = set()
    for s, sides in zip(undone, apart(nodes, undone), strict=True):
        if sides.parted:
            kept = found.profile_ids[label[min(sides.kept)]] if sides.kept else s.kept_id
            cause = merges[s.parted_id]["entry_id"] if s.parted_id in merges else s.merge_entry_id
            told.add(s.parted_id)
            yield Change("undo", kept, s.parted_id, min(sides.parted), cause, s.merge_entry_id)
    strongest = {int(component): node for node, component in reversed(list(enumerate(label.tolist())))}
    for component, profile_id in enumerate(found.profile_ids):
        if profile_id in merges and profile_id not in told:
            merge = merges[profile_id]
            yield Change("undo", merge["profile_id"], profile_id, strongest[component], merge["entry_id"])


def _lost(
    nodes: Nodes, label: Ints, found: Resolution, known: Mapping[Identifier, Known], accounted: Collection[str]
) -> Iterator[Change]:
    lost = {entry.profile_id for entry in known.values()} - set(accounted)
    if not lost:
        return
    for node, pair in enumerate(zip(nodes.types, nodes.values, strict=True)):  # strongest first
        owner = known[pair].profile_id if pair in known else None
        if owner in lost:
            lost.remove(owner)
            yield Change("merge", found.profile_ids[label[node]], owner, node)
