"""Connected components of the identifier graph, the limits that keep one person from swallowing another, and the sides of
undone merges, which never meet again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jobs.identity.edges import Edges, Ints, Mask, Nodes
from jobs.identity.separations import Apart

APART = -1  # stands among type ranks for: two sides of an undone merge
Tags = frozenset[tuple[int, bool]]


class Cut(StrEnum):
    """Why a link joins nothing."""

    SHARED = "shared"  # one of its ends belongs to more people than the limits allow, and stands alone
    LIMIT = "limit"  # one identifier too many
    SEPARATION = "separation"  # a person has undone the merge that it would make again


CUTS = tuple(Cut)
KEPT = -1
Codes = NDArray[np.int8]
Connect = Callable[[int, Ints, Ints], Ints]  # as `connected`


@dataclass(frozen=True)
class Components:
    """`label[node]` is the component of a node; `cut[edge]` is KEPT, or the place in CUTS of why the edge joins nothing.

    `shared` are the nodes that stand alone because they would have joined more than the limits allow.
    """

    label: Ints
    cut: Codes
    shared: frozenset[int]

    @property
    def kept(self) -> Mask:
        """The edges that joined."""
        joined: Mask = self.cut == KEPT
        return joined

    @property
    def count(self) -> int:
        """Number of components."""
        return int(self.label.max()) + 1 if len(self.label) else 0


def connected(count: int, a: Ints, b: Ints) -> Ints:
    """The component of each of `count` nodes, numbered from 0 by their first node, under the edges (a, b)."""
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    graph = coo_matrix((np.ones(len(a), dtype=np.bool_), (a, b)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def resolve(
    nodes: Nodes, edges: Edges, limits: list[int], separated: Sequence[Apart] = (), *, connect: Connect = connected
) -> Components:
    """Components of all edges, then of what limits and separations leave of them. `limits` is the most nodes per type rank."""

    def labelled() -> Ints:
        kept = cut == KEPT
        a, b = (edges.a, edges.b) if kept.all() else (edges.a[kept], edges.b[kept])
        return connect(len(nodes), a, b)

    cut = np.full(len(edges), KEPT, dtype=np.int8)
    cut[_crossing(edges, separated)] = CUTS.index(Cut.SEPARATION)
    label = labelled()
    over = np.union1d(_over_limit(nodes, label, limits), _reunited(label, separated))
    shared: frozenset[int] = frozenset()
    if len(over):
        suspects = np.flatnonzero(np.isin(label[edges.a], over) & (cut == KEPT))
        refused, shared = _cut(nodes, edges, suspects, limits, separated)
        for edge, why in refused.items():
            cut[edge] = CUTS.index(why)
        label = labelled()
    return Components(label, cut, shared)


def _crossing(edges: Edges, separated: Sequence[Apart]) -> Mask:
    """The edges that lead from one side of an undone merge straight to the other."""
    found = np.zeros(len(edges), dtype=np.bool_)
    for apart in separated:
        a, b = ((np.isin(end, list(apart.kept)), np.isin(end, list(apart.parted))) for end in (edges.a, edges.b))
        found |= (a[0] & b[1]) | (a[1] & b[0])
    return found


def _reunited(label: Ints, separated: Sequence[Apart]) -> Ints:
    """Components in which both sides of an undone merge have met by another way."""
    met = [
        set(label[list(s.kept)].tolist()) & set(label[list(s.parted)].tolist())
        for s in separated
        if s.kept and s.parted
    ]
    return np.asarray(sorted(set().union(*met)), dtype=np.int64)


def _over_limit(nodes: Nodes, label: Ints, limits: list[int]) -> Ints:
    """Components with more nodes of a type than its limit."""
    width = len(limits)
    counts = np.bincount(label * width + nodes.type_rank, minlength=width * (int(label.max(initial=-1)) + 1))
    too_many = counts.reshape(-1, width) > np.asarray(limits, dtype=np.int64)
    return np.flatnonzero(too_many.any(axis=1)).astype(np.int64)


def _cut(
    nodes: Nodes, edges: Edges, suspects: Ints, limits: list[int], separated: Sequence[Apart]
) -> tuple[dict[int, Cut], frozenset[int]]:
    """The edges to cut, each with its reason, and the nodes found to be shared.

    Joins edge by edge, strong and old links first (Kruskal's order), and refuses a join beyond a limit. A shared node
    loses all its edges, which changes what the others may join: repeated until no new shared node turns up.
    """
    strength = nodes.type_rank[edges.a[suspects]] + nodes.type_rank[edges.b[suspects]]
    order = np.lexsort((edges.b[suspects], edges.a[suspects], edges.first_seen[suspects], strength))
    queue = [(int(e), int(edges.a[e]), int(edges.b[e])) for e in suspects[order]]
    shared: dict[int, Cut] = {}
    tags = _tags(separated)
    while True:
        forest = _Forest(nodes, limits, tags)
        refused, found = _pass(nodes, queue, shared, forest)
        if not found:
            return refused, frozenset(shared)
        shared |= found


def _pass(
    nodes: Nodes, queue: list[tuple[int, int, int]], shared: dict[int, Cut], forest: "_Forest"
) -> tuple[dict[int, Cut], dict[int, Cut]]:
    refused: dict[int, Cut] = {}
    found: dict[int, Cut] = {}
    for edge, a, b in queue:
        if a in shared or b in shared:
            refused[edge] = shared[b] if b in shared else shared[a]
            continue
        excess = forest.join(a, b)
        if not excess:
            continue
        refused[edge] = Cut.SEPARATION if APART in excess else Cut.LIMIT
        if not forest.belongs(b, excess):
            found[b] = Cut.SEPARATION if APART in excess else Cut.SHARED
    return refused, found


def _tags(separated: Sequence[Apart]) -> dict[int, Tags]:
    """Node → (separation, whether it is on the kept side) of each that it is on a side of."""
    found: dict[int, set[tuple[int, bool]]] = {}
    for number, sides in enumerate(separated):
        for is_kept, side in ((True, sides.kept), (False, sides.parted)):
            for node in side:
                found.setdefault(node, set()).add((number, is_kept))
    return {node: frozenset(tags) for node, tags in found.items()}


class _Forest:
    """Union-find that counts the nodes of each type per tree, and refuses to grow beyond the limits or over a separation."""

    def __init__(self, nodes: Nodes, limits: list[int], tags: dict[int, Tags]) -> None:
        self._parent: dict[int, int] = {}
        self._counts: dict[int, list[int]] = {}
        self._rank = nodes.type_rank
        self._limits = limits
        self._own_tags = tags
        self._tags: dict[int, Tags] = dict(tags)

    def belongs(self, node: int, excess: set[int]) -> bool:
        """Whether the node of a refused edge is one too many of its kind, or on a side itself; otherwise it is the bridge."""
        return int(self._rank[node]) in excess or (APART in excess and node in self._own_tags)

    def _root(self, node: int) -> int:
        if node not in self._parent:
            self._parent[node] = node
            self._counts[node] = [int(rank == self._rank[node]) for rank in range(len(self._limits))]
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def join(self, a: int, b: int) -> set[int]:
        """Joins the trees of a and b; or returns the type ranks that would exceed their limit, and APART where an undone merge
        would be made again, and joins nothing."""
        left, right = self._root(a), self._root(b)
        if left == right:
            return set()
        total = [x + y for x, y in zip(self._counts[left], self._counts[right], strict=True)]
        excess = {rank for rank, count in enumerate(total) if count > self._limits[rank]}
        sides = self._tags.get(left, frozenset()), self._tags.get(right, frozenset())
        if any((number, not is_kept) in sides[1] for number, is_kept in sides[0]):
            excess.add(APART)
        if not excess:
            self._parent[right] = left
            self._counts[left] = total
            if sides[1]:
                self._tags[left] = sides[0] | sides[1]
        return excess
