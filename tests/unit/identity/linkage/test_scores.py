"""Scores against counting by hand, and against enumerating pairs."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.identity.linkage.scores import Score, clusters, labelled, pairwise

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20)


def arrays(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    entity, label = zip(*rows, strict=True)
    return np.asarray(entity, np.int64), np.asarray(label, np.int64)


@given(LABELS)
def test_pairwise_counts_what_enumerating_counts(rows: list[tuple[int, int]]) -> None:
    entity, label = arrays(rows)
    every = list(combinations(range(len(rows)), 2))
    true, found = ({(a, b) for a, b in every if of[a] == of[b]} for of in (entity, label))
    expected = (len(true & found) / len(found) if found else 1.0, len(true & found) / len(true) if true else 1.0)
    assert (pairwise(entity, label).precision, pairwise(entity, label).recall) == expected


@given(LABELS)
def test_clusters_counts_equal_sets(rows: list[tuple[int, int]]) -> None:
    entity, label = arrays(rows)
    true, found = ({frozenset(np.flatnonzero(of == one).tolist()) for one in np.unique(of)} for of in (entity, label))
    score = clusters(entity, label)
    assert (score.precision, score.recall) == (len(true & found) / len(found), len(true & found) / len(true))


def test_by_hand() -> None:
    entity, label = arrays([(0, 0), (0, 0), (0, 1), (1, 1), (2, 2)])
    assert pairwise(entity, label).as_dict() == {"precision": 0.5, "recall": 0.333333, "f1": 0.4}
    assert clusters(entity, label).as_dict() == {"precision": 0.333333, "recall": 0.333333, "f1": 0.333333}
    found = labelled(np.asarray([True, True, False]), np.asarray([True, False, True]))
    assert found == Score(0.5, 0.5)


@pytest.mark.parametrize(("score", "f1"), [(Score(0.0, 0.0), 0.0), (Score(1.0, 0.5), 2 / 3)])
def test_f1(score: Score, f1: float) -> None:
    assert score.f1 == pytest.approx(f1)
