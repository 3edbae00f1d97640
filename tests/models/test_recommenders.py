"""The recommenders keep the common contract, and each does what its name says."""

import numpy as np
import pytest
import scipy.sparse as sp
from recommender_conformance import AS_OF, RecommenderConformance
from shopkit import checkerboard

from models.als_recommender import AlsParams, AlsRecommender, fold_in
from models.base import DAY_US, Purchases, Recommender
from models.popularity import OwnMostFrequent, Popularity, buyer_share
from models.ranking import top_k

PARAMS = AlsParams(rank=4, reg=0.01, alpha=1.0, max_iter=10, seed=1)


class TestPopularity(RecommenderConformance):
    def unfitted(self) -> Recommender:
        return Popularity()


class TestOwnMostFrequent(RecommenderConformance):
    def unfitted(self) -> Recommender:
        return OwnMostFrequent()


@pytest.mark.usefixtures("without_spark")
class TestAls(RecommenderConformance):
    def unfitted(self) -> Recommender:
        return AlsRecommender(PARAMS, session=object())


@pytest.mark.usefixtures("without_spark")
class TestAlsBlended(RecommenderConformance):
    def unfitted(self) -> Recommender:
        return AlsRecommender(AlsParams(rank=4, blend=0.4, max_iter=10), session=object())


@pytest.mark.usefixtures("without_spark")
def test_als_knows_the_colour_of_the_missing_field() -> None:
    """The first new item of every profile is the one of its colour that it lacks."""
    purchases = checkerboard()
    model = AlsRecommender(PARAMS, session=object()).fit(purchases, AS_OF)
    best = top_k(model.score(purchases.counts()), 1, seen=purchases.counts())[:, 0]
    assert best.tolist() == list(range(len(purchases.profiles)))


def test_fold_in_solves_the_stated_equations() -> None:
    """One item of factor 2, bought once: x = 2(1 + a) / (4 + 4a + reg), worked out by hand."""
    params = AlsParams(rank=1, reg=0.5, alpha=2.0)
    found = fold_in(np.array([[2.0]]), sp.csr_matrix([[1.0]]), params)
    assert found[0, 0] == pytest.approx(2 * 3 / (4 + 2 * 4 + 0.5))


def test_popularity_counts_buyers_and_not_orders() -> None:
    """One profile that buys item 0 five times weighs less than two profiles that buy item 1 once."""
    profile, item = np.array([0, 0, 0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0, 1, 1])
    purchases = Purchases(np.array(["a", "b"]), np.array(["x", "y"]), profile, item, np.arange(7))
    assert buyer_share(purchases, 100, 28).tolist() == [0.5, 1.0]


def test_popularity_forgets_what_is_older_than_its_window_unless_nothing_is_newer() -> None:
    at = np.array([0, 50 * DAY_US])
    purchases = Purchases(np.array(["a"]), np.array(["x", "y"]), np.array([0, 0]), np.array([0, 1]), at)
    assert buyer_share(purchases, 60 * DAY_US, 28).tolist() == [0.0, 1.0]
    assert buyer_share(purchases, 600 * DAY_US, 28).tolist() == [1.0, 1.0]


def test_own_most_frequent_ranks_by_orders_then_popularity() -> None:
    purchases = checkerboard(4)
    history = sp.csr_matrix([[0.0, 1.0, 0.0, 3.0]])
    fitted = OwnMostFrequent().fit(purchases, AS_OF)
    assert top_k(fitted.score(history), 2)[0].tolist() == [3, 1]
