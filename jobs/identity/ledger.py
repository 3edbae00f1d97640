"""What the run writes: the identifier map, the redirects, the ledger entries with their evidence. No raw PII."""

import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.core.hashing import hash_parts
from jobs.identity.components import Components
from jobs.identity.edges import Edges, Ints, Nodes
from jobs.identity.profiles import Change, Resolution
from jobs.identity.separations import living

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EVIDENCE_EVENTS = 5
CONTENT = ("action", "profile_id", "other_profile_id", "identifier_type", "identifier_value", "evidence")
Row = dict[str, Any]
as_json = json.JSONEncoder(sort_keys=True).encode  # made once: a first run writes an entry for each profile


def identifier_rows(nodes: Nodes, label: Ints, resolution: Resolution) -> pa.Table:
    """Table `profile_identifiers`, sorted by (identifier_type, identifier_value)."""
    seen = pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "profile_id": pa.array([resolution.profile_ids[component] for component in label.tolist()], pa.string()),
            "identifier_type": pa.array(nodes.types, pa.string()),
            "identifier_value": pa.array(nodes.values, pa.string()),
            "valid_from": pa.array(nodes.first_seen).cast(seen),
            "last_seen_at": pa.array(nodes.last_seen).cast(seen),
            "event_count": pa.array(nodes.event_count),
            "is_simulated": pa.array(nodes.is_simulated),
        }
    )
    return table.sort_by([("identifier_type", "ascending"), ("identifier_value", "ascending")])


def redirect_rows(ledger: Iterable[Row]) -> list[Row]:
    """Table `profile_redirects` as the ledger tells it, sorted, each id leading straight to the one that lives.

    `is_simulated` tells of the profile merged away, and stays what it was at the merge.
    """
    merged = merges_in_force(ledger)
    into = {gone: str(row["profile_id"]) for gone, row in merged.items()}
    return [
        {
            "from_profile_id": gone,
            "to_profile_id": living(gone, into),
            "merged_at": row["occurred_at"],
            "is_simulated": row["is_simulated"],
        }
        for gone, row in sorted(merged.items())
    ]


def merges_in_force(ledger: Iterable[Row]) -> dict[str, Row]:
    """Id merged away → the entry of its last merge that was not undone."""
    merged: dict[str, Row] = {}
    # Within a run first what is undone: what it joins again on other grounds counts.
    for row in sorted(ledger, key=lambda row: (row["ledger_version"], row["action"] != "undo", row["entry_id"])):
        gone = str(row["other_profile_id"])
        if row["action"] == "merge":
            merged[gone] = row
        elif row["action"] == "undo" and merged.get(gone, {}).get("entry_id") == json.loads(row["evidence"])["merge"]:
            del merged[gone]
    return merged


def undone_merges(ledger: Iterable[Row]) -> set[str]:
    """Merges that persons have named and that the ledger tells the undoing of."""
    return {json.loads(row["evidence"]).get("asked") for row in ledger if row["action"] == "undo"}


def ledger_rows(
    nodes: Nodes, edges: Edges, components: Components, resolution: Resolution, *, occurred_at: datetime, version: int
) -> list[Row]:
    """Table `identity_ledger`: one row per change of this run, sorted by entry_id.

    `entry_id` hashes what happened and to whom, not when: a run that is repeated after a crash finds its entries.
    `is_simulated` is not hashed either, and tells of the profile that was created, split off or merged away.
    """
    members = _members(components.label, resolution)
    crossings = _crossings(edges, components, resolution)
    real_groups = set(components.label[~nodes.is_simulated].tolist())
    real_before = _real_before(nodes, resolution)
    rows = []
    for change in resolution.changes:
        if change.action == "merge":
            node, evidence = _merge_evidence(nodes, edges, crossings.get(str(change.other_profile_id), []), change)
            is_simulated = change.other_profile_id not in real_before
        else:
            group = int(components.label[change.node])
            node, evidence = change.node, _group_evidence(nodes, members[group], change)
            is_simulated = group not in real_groups
        when: Row = {"occurred_at": occurred_at, "ledger_version": version}
        rows.append(_entry(nodes, change, node, evidence) | when | {"is_simulated": is_simulated})
    return sorted(rows, key=lambda row: str(row["entry_id"]))


def unwritten(rows: Iterable[Row], ledger: Sequence[Row]) -> list[Row]:
    """Those of a run's rows that the ledger does not hold, one that was killed having written some. A merge that is made again
    after it was undone, on the same evidence, is another entry: its version is hashed as well."""
    there = {row["entry_id"] for row in ledger}
    fresh = []
    rows = list(rows)
    # To sort the whole ledger for it is worth while only where a merge seems to be made again.
    is_repeated = any(row["action"] == "merge" and row["entry_id"] in there for row in rows)
    in_force = {_content_id(row) for row in merges_in_force(ledger).values()} if is_repeated else set()
    for row in rows:
        if row["entry_id"] not in there:
            fresh.append(row)
        elif row["action"] == "merge" and row["entry_id"] not in in_force:
            fresh.append(row | {"entry_id": hash_parts([row["entry_id"], row["ledger_version"]])})
    return fresh


def _content_id(row: Row) -> str:
    return hash_parts(row[name] for name in CONTENT)


def _entry(nodes: Nodes, change: Change, node: int, evidence: Row) -> Row:
    content: Row = {
        "action": change.action,
        "profile_id": change.profile_id,
        "other_profile_id": change.other_profile_id,
        "identifier_type": nodes.types[node],
        "identifier_value": nodes.values[node],
        "evidence": as_json(evidence),
    }
    return {"entry_id": _content_id(content)} | content


def _real_before(nodes: Nodes, resolution: Resolution) -> set[str | None]:
    """Profiles of the last run that had an identifier with a real sighting."""
    return {resolution.before[node] for node in np.flatnonzero(~nodes.is_simulated).tolist()}


def _members(label: Ints, resolution: Resolution) -> dict[int, list[int]]:
    """Nodes of the components that were created or split off in this run."""
    wanted = {int(label[change.node]) for change in resolution.changes if change.action != "merge"}
    members: dict[int, list[int]] = {component: [] for component in wanted}
    for node, component in enumerate(label.tolist()):
        if component in wanted:
            members[component].append(node)
    return members


def _crossings(edges: Edges, components: Components, resolution: Resolution) -> dict[str, list[int]]:
    """Per id merged away, the kept edges that lead out of what it was; oldest first."""
    merges = resolution.merges
    found: dict[str, list[int]] = {gone: [] for gone in merges}
    if not merges:
        return found
    numbers = {profile_id: number for number, profile_id in enumerate(sorted(set(filter(None, resolution.before))))}
    code = np.asarray([numbers[p] if p is not None else -1 for p in resolution.before], dtype=np.int64)
    crossing = np.flatnonzero(components.kept & (code[edges.a] != code[edges.b]))
    is_match = ~np.isnan(edges.match_weight[crossing])  # what was seen says more than what was matched
    for edge in crossing[np.lexsort((crossing, edges.first_seen[crossing], is_match))].tolist():
        for node in (edges.a[edge], edges.b[edge]):
            if (profile_id := resolution.before[node]) in found:
                found[str(profile_id)].append(edge)
    return found


def _merge_evidence(nodes: Nodes, edges: Edges, links: list[int], change: Change) -> tuple[int, Row]:
    """The identifier of the first link is the cause; the evidence names the events it was seen in and how often."""
    if not links:
        return change.node, {"event_count": 0, "events": [], "links": 0}
    weight = float(edges.match_weight[links[0]])
    together = "seen with" if math.isnan(weight) else "matched with"
    evidence: Row = {
        "event_count": int(edges.event_count[links].sum()),
        "events": [edges.first_event(link) for link in links[:EVIDENCE_EVENTS]],
        "first_seen": iso(int(edges.first_seen[links[0]])),
        "link": f"{nodes.types[int(edges.a[links[0]])]} {together} {nodes.types[int(edges.b[links[0]])]}",
        "links": len(links),
    }
    if not math.isnan(weight):
        evidence["match_weight"] = round(weight, 3)
    return int(edges.b[links[0]]), evidence


def _group_evidence(nodes: Nodes, members: list[int], change: Change) -> Row:
    causes = {"merge": change.cause, "asked": change.asked}
    return {name: value for name, value in causes.items() if value} | {
        "events": [nodes.first_event[change.node]],
        "first_seen": iso(int(nodes.first_seen[change.node])),
        "identifiers": _counted(nodes, members),
    }


def _counted(nodes: Nodes, members: list[int]) -> dict[str, int]:
    """How many of each type; a plain dict, for a Counter costs more than counting three."""
    found: dict[str, int] = {}
    for node in members:
        kind = nodes.types[node]
        found[kind] = found.get(kind, 0) + 1
    return found


def iso(microseconds: int) -> str:
    """ISO 8601 text of microseconds since 1970 UTC."""
    return (EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")
