"""From pairs of records to groups that are one person each. Pure: numpy in, numpy out.

Connected components over all pairs above a threshold let one wrong pair fuse two people for good, and a lower threshold fuse
them all. Here groups grow by their strongest pairs first, and two groups join only with enough support: the mean of the
probabilities of all pairs between them, a pair that was never compared counting as 0 (average linkage; Sokal and
Michener 1958). The strongest pair of all joins before there are groups to speak against it: so at the end a pair on which
alone a group hangs together is looked at once more.
"""

from dataclasses import dataclass

import numpy as np

from jobs.identity.edges import Floats, Ints, Mask


@dataclass(frozen=True)
class Pairs:
    """Compared records: numbers from 0, `a` and `b` of equal length, with the probability that they are one person."""

    a: Ints
    b: Ints
    probability: Floats

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class Groups:
    """`label[record]`, numbered from 0 in the order of each group's first record; `refused` are pairs that would link by
    their probability, and did not for want of support or room."""

    label: Ints
    refused: Mask


def group(count: int, pairs: Pairs, *, link: float, support: float, largest: int) -> Groups:
    """Joins records by the pairs of at least `link`, strongest first; see above for `support`. Ties go by record number."""
    label = _grown(count, pairs, link, support, largest)
    hanging = _hanging(pairs, label, link, support)
    if hanging.any():
        kept = Pairs(pairs.a[~hanging], pairs.b[~hanging], pairs.probability[~hanging])
        label = _grown(count, kept, link, support, largest)
    refused = (pairs.probability >= link) & (label[pairs.a] != label[pairs.b])
    return Groups(label, refused)


def _grown(count: int, pairs: Pairs, link: float, support: float, largest: int) -> Ints:
    forest = _Forest(count, pairs)
    strongest = np.lexsort((pairs.b, pairs.a, -pairs.probability))
    waiting = [int(pair) for pair in strongest if pairs.probability[pair] >= link]
    while True:  # what had too little support may have enough when its groups have grown
        left = [pair for pair in waiting if not forest.join(int(pairs.a[pair]), int(pairs.b[pair]), support, largest)]
        if len(left) == len(waiting):
            break
        waiting = left
    roots = np.asarray([forest.root(record) for record in range(count)], dtype=np.int64)
    _, first, label = np.unique(roots, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[label]


def _hanging(pairs: Pairs, label: Ints, link: float, support: float) -> Mask:
    """Pairs without which their group falls into two of two records or more each, with too little between them to join."""
    found = np.zeros(len(pairs), dtype=np.bool_)
    of_pair = np.where(label[pairs.a] == label[pairs.b], label[pairs.a], -1)
    is_large = np.bincount(label)[of_pair] >= 4
    inside = np.flatnonzero((of_pair >= 0) & is_large)
    inside = inside[np.argsort(of_pair[inside], kind="stable")]
    for group_pairs in np.split(inside, np.flatnonzero(np.diff(of_pair[inside])) + 1):
        found[_bridges(pairs, group_pairs, link, support)] = True
    return found


def _bridges(pairs: Pairs, inside: Ints, link: float, support: float) -> list[int]:
    """Of one group's pairs, those that `_hanging` tells of."""
    import networkx

    graph = networkx.Graph()
    a, b, probability = pairs.a[inside], pairs.b[inside], pairs.probability[inside]
    linked = np.flatnonzero(probability >= link).tolist()
    graph.add_edges_from((int(a[p]), int(b[p]), {"pair": int(inside[p])}) for p in linked)
    found = []
    for one, other in list(networkx.bridges(graph)):
        pair = graph.edges[one, other]["pair"]
        graph.remove_edge(one, other)
        left, right = (networkx.node_connected_component(graph, side) for side in (one, other))
        graph.add_edge(one, other, pair=pair)
        is_left = np.isin(a, list(left)), np.isin(b, list(left))
        mean = float(probability[is_left[0] != is_left[1]].sum()) / (len(left) * len(right))
        if min(len(left), len(right)) >= 2 and mean < support:
            found.append(pair)
    return found


class _Forest:
    """Union-find that keeps, for each group, the sum of the probabilities to each other group."""

    def __init__(self, count: int, pairs: Pairs) -> None:
        self._parent = list(range(count))
        self._size = [1] * count
        self._between: dict[int, dict[int, float]] = {}
        for a, b, probability in zip(pairs.a.tolist(), pairs.b.tolist(), pairs.probability.tolist(), strict=True):
            self._add(a, b, probability)
            self._add(b, a, probability)

    def _add(self, a: int, b: int, probability: float) -> None:
        sums = self._between.setdefault(a, {})
        sums[b] = sums.get(b, 0.0) + probability

    def root(self, record: int) -> int:
        """The record that stands for the group."""
        while self._parent[record] != record:
            self._parent[record] = self._parent[self._parent[record]]
            record = self._parent[record]
        return record

    def join(self, a: int, b: int, support: float, largest: int) -> bool:
        """Whether both are in one group now."""
        left, right = self.root(a), self.root(b)
        if left == right:
            return True
        size = self._size[left] + self._size[right]
        mean = self._between[left][right] / (self._size[left] * self._size[right])
        if size > largest or mean < support:
            return False
        if len(self._between[left]) < len(self._between[right]):
            left, right = right, left
        self._parent[right] = left
        self._size[left] = size
        for other, total in self._between.pop(right).items():
            del self._between[other][right]
            if other != left:
                self._add(left, other, total)
                self._between[other][left] = self._between[left][other]
        return True
