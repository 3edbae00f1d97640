"""What every recommender must do: inherit `RecommenderConformance` in a class named `Test…` and define `unfitted`."""

from abc import ABC, abstractmethod

import numpy as np
import pytest
import scipy.sparse as sp
from shopkit import checkerboard

from models.base import EmptyTrainingError, Purchases, Recommender
from models.popularity import Popularity
from models.ranking import top_k

K = 10
AS_OF = 10_000


class RecommenderConformance(ABC):
    """The contract of models.base.Recommender, as tests."""

    @abstractmethod
    def unfitted(self) -> Recommender:
        """A recommender that has not learnt yet; each call gives an equal one."""

    @pytest.fixture
    def purchases(self) -> Purchases:
        return checkerboard()

    @pytest.fixture
    def fitted(self, purchases: Purchases) -> Recommender:
        return self.unfitted().fit(purchases, AS_OF)

    def test_one_score_for_each_row_and_item(self, fitted: Recommender, purchases: Purchases) -> None:
        scores = fitted.score(purchases.counts())
        assert scores.shape == (len(purchases.profiles), len(purchases.items))
        assert np.isfinite(scores).all()
        assert fitted.items.tolist() == purchases.items.tolist()

    def test_lists_hold_k_different_items(self, fitted: Recommender, purchases: Purchases) -> None:
        ranked = top_k(fitted.score(purchases.counts()), K)
        assert ranked.shape == (len(purchases.profiles), K)
        assert all(len(set(row)) == K for row in ranked.tolist())

    def test_items_bought_before_are_masked_when_asked(self, fitted: Recommender, purchases: Purchases) -> None:
        counts = purchases.counts()
        ranked = top_k(fitted.score(counts), K, seen=counts)
        bought = counts.toarray() > 0
        assert not any(bought[row, item] for row, items in enumerate(ranked) for item in items if item >= 0)

    def test_equal_scores_are_ordered_by_item_id(self, fitted: Recommender, purchases: Purchases) -> None:
        scores = np.round(fitted.score(purchases.counts()), 6)
        for row, items in enumerate(top_k(scores, K).tolist()):
            keys = [(-scores[row, item], purchases.items[item]) for item in items]
            assert keys == sorted(keys)

    def test_learning_twice_gives_the_same_lists(self, fitted: Recommender, purchases: Purchases) -> None:
        again = self.unfitted().fit(purchases, AS_OF)
        np.testing.assert_allclose(again.score(purchases.counts()), fitted.score(purchases.counts()), atol=1e-9)

    def test_an_unknown_profile_gets_the_order_of_popularity(self, fitted: Recommender, purchases: Purchases) -> None:
        nobody = sp.csr_matrix((1, len(purchases.items)))
        popular = Popularity().fit(purchases, AS_OF)
        assert top_k(fitted.score(nobody), K).tolist() == top_k(popular.score(nobody), K).tolist()

    def test_a_history_that_was_not_trained_on_is_scored(self, fitted: Recommender, purchases: Purchases) -> None:
        newcomer = sp.csr_matrix(([2.0, 1.0], ([0, 0], [0, 2])), shape=(1, len(purchases.items)))
        assert np.isfinite(fitted.score(newcomer)).all()

    def test_no_rows_no_lists(self, fitted: Recommender, purchases: Purchases) -> None:
        assert fitted.score(sp.csr_matrix((0, len(purchases.items)))).shape == (0, len(purchases.items))

    def test_nothing_to_learn_from_is_refused(self, purchases: Purchases) -> None:
        with pytest.raises(EmptyTrainingError, match="no purchases"):
            self.unfitted().fit(purchases, 0)

    def test_the_future_changes_nothing(self, purchases: Purchases) -> None:
        """What is bought after the as-of time must not reach the model."""
        cut = len(purchases) // 2
        whole = self.unfitted().fit(purchases, cut)
        past = self.unfitted().fit(purchases.between(None, cut), cut)
        np.testing.assert_array_equal(whole.score(purchases.counts()), past.score(purchases.counts()))
