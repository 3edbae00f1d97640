"""Matched records of people as links between identifiers: the linked rows of `identity_matches`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.identity.edges import Edges, Floats, Ints, Mask, Nodes
from jobs.identity.separations import Apart

TABLE = "identity_matches"
LINKED, REJECTED = "linked", "rejected"
PREFIX = "match|"  # in the place of a source: a link that no event proves names the pair of records


@dataclass(frozen=True)
class Links:
    """`a` and `b` are node numbers, a < b, each pair once; `weight` is log2 of the odds that the two are one person."""

    a: Ints
    b: Ints
    weight: Floats
    seen_at: Ints
    is_simulated: Mask
    pair_ids: list[str]
    rejected: list[Apart]

    def __len__(self) -> int:
        return len(self.a)


def links_of(matched: pa.Table, renamed: Mapping[str, str], nodes: Nodes, edges: Edges) -> Links:
    """Of rows of `identity_matches` the strongest match of each two nodes, and the pairs that a person has rejected; none where
    two were seen together anyway, or one is unknown or blocked. `renamed`: old token → new one, of a rotated key."""
    rows = [(row, *_ends(row, renamed)) for row in matched.to_pylist() if row["outcome"] in (LINKED, REJECTED)]
    wanted = {end for _, a, b in rows for end in (a, b)}
    pairs = enumerate(zip(nodes.types, nodes.values, strict=True)) if wanted else ()
    number = {pair: node for node, pair in pairs if pair in wanted}
    together = set(zip(edges.a.tolist(), edges.b.tolist(), strict=True)) if number else set()
    found: dict[tuple[int, int], tuple[float, int, bool, str]] = {}
    rejected: list[Apart] = []
    for row, one, other in rows:
        a, b = sorted((number.get(one, -1), number.get(other, -1)))
        if a < 0 or a == b or (a, b) in together:
            continue
        if row["outcome"] == REJECTED:
            rejected.append(Apart(frozenset({a}), frozenset({b})))
            continue
        told = (row["match_weight"], int(row["seen_at"].timestamp() * 1e6), row["is_simulated"], row["pair_id"])
        found[a, b] = max(told, found.get((a, b), told))
    ordered = sorted(found.items())
    return Links(
        np.asarray([pair[0] for pair, _ in ordered], np.int64),
        np.asarray([pair[1] for pair, _ in ordered], np.int64),
        np.asarray([told[0] for _, told in ordered], np.float64),
        np.asarray([told[1] for _, told in ordered], np.int64),
        np.asarray([told[2] for _, told in ordered], np.bool_),
        [told[3] for _, told in ordered],
        rejected,
    )


def _ends(row: Mapping[str, Any], renamed: Mapping[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    values = [row[f"identifier_value_{side}"] for side in "ab"]
    a, b = (renamed.get(value, value) for value in values)
    return (row["identifier_type_a"], a), (row["identifier_type_b"], b)


def with_links(edges: Edges, links: Links) -> Edges:
    """The links behind the edges, with the pair of records in the place of events."""
    events = pa.array([[PREFIX + pair_id] for pair_id in links.pair_ids], edges.events.type)
    return Edges(
        a=np.concatenate([edges.a, links.a]),
        b=np.concatenate([edges.b, links.b]),
        first_seen=np.concatenate([edges.first_seen, links.seen_at]),
        last_seen=np.concatenate([edges.last_seen, links.seen_at]),
        event_count=np.concatenate([edges.event_count, np.zeros(len(links), np.int64)]),
        is_simulated=np.concatenate([edges.is_simulated, links.is_simulated]),
        events=pa.chunked_array([*edges.events.chunks, events]),
        match_weight=np.concatenate([edges.match_weight, links.weight]),
    )
