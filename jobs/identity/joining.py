"""Joins components by matched records of people, within the same limits: probability never cuts what was seen together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from jobs.identity.components import Components, connected
from jobs.identity.edges import Ints, Mask, Nodes
from jobs.identity.linkage.clusters import Floats
from jobs.identity.separations import Apart


@dataclass(frozen=True)
class Links:
    """Matched records as links between nodes: `a` and `b` are node numbers, `weight` is log2 of the odds."""

    a: Ints
    b: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.a)


def join(
    nodes: Nodes, components: Components, links: Links, limits: list[int], separated: Sequence[Apart]
) -> tuple[Components, Mask]:
    """Components joined by the links, strongest first, and which links were kept.

    A link that would lead beyond a limit, over an undone merge, or to an identifier that several people share, joins nothing and
    changes nothing else.
    """
    forest = _Forest(nodes, components, limits, separated)
    kept = np.zeros(len(links), dtype=np.bool_)
    ends = components.label[links.a], components.label[links.b]
    for place in np.lexsort((links.b, links.a, -links.weight)).tolist():
        is_shared = {int(links.a[place]), int(links.b[place])} & components.shared
        kept[place] = not is_shared and forest.join(int(ends[0][place]), int(ends[1][place]))
    of_component = connected(components.count, ends[0][kept], ends[1][kept])
    return replace(components, label=of_component[components.label]), kept


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

    def join(self, one: int, other: int) -> bool:
        """Whether the two are in one tree now."""
        left, right = self._root(one), self._root(other)
        if left == right:
            return True
        total = self._counts[left] + self._counts[right]
        sides = self._sides.get(left, frozenset()), self._sides.get(right, frozenset())
        if (total > self._limits).any() or any((number, not is_kept) in sides[1] for number, is_kept in sides[0]):
            return False
        self._parent[right] = left
        self._counts[left] = total
        if sides[1]:
            self._sides[left] = sides[0] | sides[1]
        return True
