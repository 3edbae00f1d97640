"""Matched records of people as links between identifiers: the linked rows of `identity_matches`."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.core.settings import Settings
from jobs.identity.edges import Edges, Floats, Ints, Mask, Nodes
from jobs.lake import delta

TABLE = "identity_matches"
LINKED = "linked"
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

    def __len__(self) -> int:
        return len(self.a)


def read_links(settings: Settings, nodes: Nodes, edges: Edges) -> Links:
    """The strongest match of each two nodes; none where they were seen together anyway, or one is unknown or blocked."""
    rows = [row for row in delta.read(settings, TABLE).to_pylist() if row["outcome"] == LINKED]
    wanted = {(row[f"identifier_type_{side}"], row[f"identifier_value_{side}"]) for row in rows for side in "ab"}
    pairs = enumerate(zip(nodes.types, nodes.values, strict=True)) if wanted else ()
    number = {pair: node for node, pair in pairs if pair in wanted}
    together = set(zip(edges.a.tolist(), edges.b.tolist(), strict=True)) if number else set()
    found: dict[tuple[int, int], tuple[float, int, bool, str]] = {}
    for row in rows:
        ends = [number.get((row[f"identifier_type_{side}"], row[f"identifier_value_{side}"])) for side in "ab"]
        if None in ends or ends[0] == ends[1]:
            continue
        pair = tuple(sorted(int(end) for end in ends if end is not None))
        told = (row["match_weight"], int(row["seen_at"].timestamp() * 1e6), row["is_simulated"], row["pair_id"])
        if pair not in together:
            found[pair[0], pair[1]] = max(told, found.get((pair[0], pair[1]), told))
    ordered = sorted(found.items())
    a, b = (np.asarray([pair[side] for pair, _ in ordered], np.int64) for side in (0, 1))
    return Links(
        a,
        b,
        np.asarray([told[0] for _, told in ordered], np.float64),
        np.asarray([told[1] for _, told in ordered], np.int64),
        np.asarray([told[2] for _, told in ordered], np.bool_),
        [told[3] for _, told in ordered],
    )


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
