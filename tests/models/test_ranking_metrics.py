"""Lists and metrics against figures worked out by hand."""

import numpy as np
import pytest
import scipy.sparse as sp

from models.base import Recommender
from models.evaluation import coverage, evaluate, hits, map_at_k, ndcg_at_k, paired_lift_interval, recall_at_k
from models.ranking import top_k

RANKED = np.array([[0, 1, 2], [3, 4, -1]])
RELEVANT = np.array([[1, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0]], dtype=bool)
COUNT = RELEVANT.sum(axis=1)


def test_hits() -> None:
    assert hits(RANKED, RELEVANT).tolist() == [[True, False, True], [False, True, False]]


def test_an_empty_place_is_no_hit_even_when_item_0_is_relevant() -> None:
    assert hits(np.array([[-1]]), np.array([[True]])).tolist() == [[False]]


def test_recall() -> None:
    assert recall_at_k(hits(RANKED, RELEVANT), COUNT).tolist() == pytest.approx([2 / 3, 1.0])


def test_average_precision() -> None:
    """Row 1: hits at 1 and 3 give (1/1 + 2/3) / 3. Row 2: a hit at 2 gives (1/2) / 1."""
    assert map_at_k(hits(RANKED, RELEVANT), COUNT).tolist() == pytest.approx([5 / 9, 0.5])


def test_ndcg() -> None:
    """Row 1: (1 + 1/2) / (1 + 1/log2(3) + 1/2). Row 2: (1/log2(3)) / 1."""
    ideal = 1 + 1 / np.log2(3) + 0.5
    assert ndcg_at_k(hits(RANKED, RELEVANT), COUNT).tolist() == pytest.approx([1.5 / ideal, 1 / np.log2(3)])


def test_average_precision_is_1_for_a_full_list_of_hits_when_more_is_relevant() -> None:
    everything = np.ones((1, 5), dtype=bool)
    found = hits(np.array([[4, 2]]), everything)
    assert map_at_k(found, np.array([5])).tolist() == [1.0]
    assert ndcg_at_k(found, np.array([5])).tolist() == [1.0]


def test_coverage_counts_items_once_and_no_empty_places() -> None:
    assert coverage(np.array([[0, 1], [1, -1]]), 8) == 0.25


def test_top_k_breaks_ties_by_position_also_at_the_border() -> None:
    scores = np.array([[1.0, 5.0, 1.0, 1.0, 5.0, 1.0]])
    assert top_k(scores, 4).tolist() == [[1, 4, 0, 2]]


def test_top_k_equals_a_stable_sort_on_scores_full_of_ties() -> None:
    scores = np.random.default_rng(7).integers(0, 6, size=(200, 50)).astype(float)
    assert top_k(scores, 10).tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :10].tolist()


def test_top_k_masks_and_says_when_nothing_is_left() -> None:
    seen = sp.csr_matrix(np.array([[1, 0, 1], [1, 1, 1]]))
    assert top_k(np.array([[3.0, 2.0, 1.0]] * 2), 2, seen=seen).tolist() == [[1, -1], [-1, -1]]


def test_top_k_of_more_than_there_is() -> None:
    assert top_k(np.array([[1.0, 2.0]]), 4).tolist() == [[1, 0, -1, -1]]
    assert top_k(np.zeros((0, 3)), 4).shape == (0, 4)


class Fixed(Recommender):
    """Scores item n with -n: always the list 0, 1, 2, …"""

    name = "fixed"
    items = np.array(["a", "b", "c", "d"])

    def fit(self, purchases: object, as_of_us: int) -> "Fixed":
        return self

    def score(self, histories: sp.csr_matrix) -> np.ndarray:
        return np.tile(-np.arange(4.0), (histories.shape[0], 1))


HISTORY = sp.csr_matrix([[1.0, 0, 0, 0], [1.0, 1, 0, 0], [0.0, 0, 0, 0]])
FUTURE = sp.csr_matrix([[1.0, 1, 0, 1], [1.0, 1, 0, 0], [1.0, 1, 1, 1]])


def test_new_only_judges_new_items_by_lists_of_new_items() -> None:
    """Profile 1 lists b, c and newly buys b, d. Profile 2 buys nothing new, profile 3 has no history: neither counts."""
    found = evaluate(Fixed(), HISTORY, FUTURE, k=2, new_only=True)
    assert found.recall.tolist() == [0.5]
    assert found.metrics["recall_at_2_new_only"] == 0.5
    assert found.metrics["coverage_at_2_new_only"] == 0.5


def test_all_items_judges_repeats_too() -> None:
    """Lists a, b: profile 1 finds 2 of 3, profile 2 finds 2 of 2."""
    found = evaluate(Fixed(), HISTORY, FUTURE, k=2, new_only=False)
    assert found.recall.tolist() == pytest.approx([2 / 3, 1.0])
    assert found.metrics["recall_at_2_all_items"] == pytest.approx(5 / 6)


def test_nobody_to_judge_is_an_error() -> None:
    with pytest.raises(ValueError, match="no profile"):
        evaluate(Fixed(), HISTORY, sp.csr_matrix((3, 4)), new_only=True)


def test_the_interval_of_a_constant_lift_is_that_lift() -> None:
    low, high = paired_lift_interval(np.full(50, 0.3), np.full(50, 0.1), seed=1)
    assert (low, high) == pytest.approx((0.2, 0.2))
