"""Joins components by matched records of people, within the same limits: probability never cuts what was seen together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jobs.identity.components import CUTS, KEPT, Components, Cut, connected
from jobs.identity.edges import Nodes
from jobs.identity.matches import Links
from jobs.identity.separations import Apart


def join(
    nodes: Nodes, components: Components, links: Links, limits: list[int], separated: Sequence[Apart]
) -> Components:
    """Components joined by the links, strongest first; `cut` goes on behind the edges with an entry per link.

    A link that would lead beyond a limit, over an undone merge, to what a person has said is another, or to an identifier that
    several people share, joins nothing and changes nothing else.
    """
    forest = _Forest(nodes, components, limits, [*separated, *links.rejected])
    cut = np.full(len(links), KEPT, dtype=np.int8)
    a, b = components.label[links.a], components.label[links.b]
    for place in np.lexsort((links.b, links.a, -links.weight)).tolist():
        is_shared = {int(links.a[place]), int(links.b[place])} & components.shared
        why = Cut.SHARED if is_shared else forest.join(int(a[place]), int(b[place]))
        cut[place] = KEPT if why is None else CUTS.index(why)
    kept = cut == KEPT
    of_component = connected(components.count, a[kept], b[kept])
    return replace(components, label=of_component[components.label], cut=np.concatenate([components.cut, cut]))


class _Forest:
    """Union-find over components, with how many nodes of each type a tree has, and the sides of undone merges in it."""

    def __init__(self, nodes: Nodes, components: Components, limits: list[int], separated: Sequence[Apart]) -> None:
        self._parent = np.arange(components.count)
        self._counts = np.zeros((components.count, len(limits)), dtype=np.int64)
        np.add.at(self._counts, (components.label, nodes.type_rank), 1)
        self._limits = np.asarray(limits, dtype=np.int64)
        self._sides: dict[int, frozenset[tuple[int, bool]]] = {}
        for number, apart in enumerate(separated):
            for is_kept, side in ((True, apart.kept), (False, apart.parted)):
                for component in {int(components.label[node]) for node in side}:
                    self._sides[component] = self._sides.get(component, frozenset()) | {(number, is_kept)}

    def _root(self, component: int) -> int:
        while self._parent[component] != component:
            self._parent[component] = self._parent[self._parent[component]]
            component = int(self._parent[component])
        return component

    def join(self, one: int, other: int) -> Cut | None:
        """Joins the trees of the two; or says why not."""
        left, right = self._root(one), self._root(other)
        if left == right:
            return None
        total = self._counts[left] + self._counts[right]
        sides = self._sides.get(left, frozenset()), self._sides.get(right, frozenset())
        if any((number, not is_kept) in sides[1] for number, is_kept in sides[0]):
            return Cut.SEPARATION
        if (total > self._limits).any():
            return Cut.LIMIT
        self._parent[right] = left
        self._counts[left] = total
        if sides[1]:
            self._sides[left] = sides[0] | sides[1]
        return None
