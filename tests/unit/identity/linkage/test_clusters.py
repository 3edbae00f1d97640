"""Groups from pairs: oracles, support, room, and that the order of the pairs does not matter."""

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.identity.components import connected
from jobs.identity.linkage.clusters import Groups, Pairs, group

COUNT = 12
EDGE = st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1), st.sampled_from([0.05, 0.3, 0.6, 0.9, 0.99]))
EDGES = st.lists(EDGE, max_size=30).map(lambda edges: {(min(a, b), max(a, b)): p for a, b, p in edges if a != b})


def pairs(edges: dict[tuple[int, int], float]) -> Pairs:
    a, b = (np.asarray([edge[side] for edge in edges], np.int64) for side in (0, 1))
    return Pairs(a, b, np.asarray(list(edges.values()), np.float64))


def grouped(edges: dict[tuple[int, int], float], support: float = 0.0, largest: int = COUNT) -> Groups:
    return group(COUNT, pairs(edges), link=0.5, support=support, largest=largest)


def sets(label: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(label == one).tolist()) for one in np.unique(label)}


@given(EDGES)
def test_without_support_and_limit_groups_are_connected_components(edges: dict[tuple[int, int], float]) -> None:
    graph = nx.Graph([edge for edge, probability in edges.items() if probability >= 0.5])
    graph.add_nodes_from(range(COUNT))
    expected = {frozenset(found) for found in nx.connected_components(graph)}
    assert sets(grouped(edges).label) == expected
    linked = [edge for edge, probability in edges.items() if probability >= 0.5]
    a, b = (np.asarray([edge[side] for edge in linked], np.int64) for side in (0, 1))
    assert sets(connected(COUNT, a, b)) == expected
    assert not grouped(edges).refused.any()


@given(EDGES, st.randoms(use_true_random=False), st.sampled_from([0.0, 0.1, 0.4]))
def test_the_order_of_pairs_does_not_matter(edges: dict[tuple[int, int], float], draw: Any, support: float) -> None:
    shuffled = list(edges.items())
    draw.shuffle(shuffled)
    assert grouped(dict(shuffled), support).label.tolist() == grouped(edges, support).label.tolist()


@given(EDGES, st.sampled_from([0.1, 0.4]), st.integers(2, 5))
def test_support_and_room_only_take_apart(edges: dict[tuple[int, int], float], support: float, largest: int) -> None:
    whole, found = grouped(edges), grouped(edges, support, largest)
    assert all(any(part <= one for one in sets(whole.label)) for part in sets(found.label))
    assert max(len(part) for part in sets(found.label)) <= largest
    refused = {edge for edge, no in zip(edges, found.refused, strict=True) if no}
    apart = {(a, b) for (a, b), p in edges.items() if p >= 0.5 and found.label[a] != found.label[b]}
    assert refused == apart


def test_one_sure_pair_does_not_join_two_families() -> None:
    """3 and 4 agree on a phone; nobody else of the two groups has anything in common."""
    four = {(a, b): 0.95 for first in (0, 4) for a in range(first, first + 4) for b in range(a + 1, first + 4)}
    bridge = four | {(3, 4): 0.99}
    assert len(sets(grouped(bridge).label)) == COUNT - 7  # without support they are one
    found = grouped(bridge, support=0.1)
    assert {frozenset(range(4)), frozenset(range(4, 8))} <= sets(found.label)
    assert found.refused.sum() == 1


def test_what_had_too_little_support_may_join_later() -> None:
    """0-1 and 2-3 hang together by weak pairs each, which count as support once their groups have grown."""
    weak = {(0, 1): 0.9, (2, 3): 0.9, (0, 2): 0.6, (1, 3): 0.3, (0, 3): 0.3, (1, 2): 0.3}
    assert frozenset(range(4)) in sets(grouped(weak, support=0.35).label)
    assert frozenset(range(4)) not in sets(grouped(weak, support=0.4).label)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_records_without_pairs_stand_alone(count: int) -> None:
    nothing = np.empty(0, np.int64)
    found = group(count, Pairs(nothing, nothing, nothing.astype(np.float64)), link=0.5, support=0.1, largest=5)
    assert found.label.tolist() == list(range(count))
    assert connected(count, nothing, nothing).tolist() == list(range(count))


def test_what_was_rejected_is_in_one_group_by_no_third_record() -> None:
    found = grouped({(0, 1): -np.inf, (0, 2): 0.99, (1, 2): 0.98, (2, 3): 0.9}, support=0.1)
    assert found.label[0] == found.label[2] == found.label[3] != found.label[1]
    assert grouped({(0, 1): 0.0, (0, 2): 0.99, (1, 2): 0.98}, support=0.1).label[:3].tolist() == [0, 0, 0]
