"""The real Spark ALS: the common contract, a known answer, and the closed form that scoring relies on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from recommender_conformance import AS_OF, RecommenderConformance
from shopkit import Shop, checkerboard, context, two_tastes

from jobs.core.settings import Settings
from models import recommender_training
from models.als_recommender import AlsParams, AlsRecommender, fold_in
from models.base import Recommender
from models.ranking import top_k
from models.tracking import Registry
from models.training import Action, recommender_task, train_all

pytestmark = pytest.mark.spark
PARAMS = AlsParams(rank=4, reg=0.01, alpha=1.0, max_iter=5, seed=1)


class TestSparkAls(RecommenderConformance):
    @pytest.fixture(autouse=True)
    def _session(self, als_session: Any) -> None:
        self.session = als_session

    def unfitted(self) -> Recommender:
        return AlsRecommender(PARAMS, self.session)


def test_als_knows_the_colour_of_the_missing_field(als_session: Any) -> None:
    """On a checkerboard without its diagonal, the first new item of every profile is the diagonal one."""
    purchases = checkerboard()
    model = AlsRecommender(PARAMS, als_session).fit(purchases, AS_OF)
    best = top_k(model.score(purchases.counts()), 1, seen=purchases.counts())[:, 0]
    assert best.tolist() == list(range(len(purchases.profiles)))


def test_fold_in_equals_the_user_factors_of_spark(als_session: Any) -> None:
    purchases = checkerboard()
    model = AlsRecommender(PARAMS, als_session).fit(purchases, AS_OF)
    ours = fold_in(model.item_factors, purchases.counts(), PARAMS)
    np.testing.assert_allclose(ours, model.user_factors, atol=1e-4)
    assert np.abs(model.user_factors).max() > 0.1


def test_train_all_on_spark_registers_a_better_model_and_stops_the_session(
    settings: Settings,
    open_shop: Callable[[Shop], Any],
    als_session: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jobs.lake import session

    stopped = []

    class Shared:
        """The lane's session, which must outlive this test."""

        def __getattr__(self, name: str) -> Any:
            return getattr(als_session, name)

        def stop(self) -> None:
            stopped.append(True)

    monkeypatch.setattr(session, "open_session", lambda *_: Shared())
    monkeypatch.setattr(recommender_training, "GRID", ((4, 0.01, 1.0),))
    connection = open_shop(two_tastes())
    outcomes = train_all(context(settings), connection, Registry(settings), force=False)
    assert outcomes[0].action is Action.REGISTERED
    assert "personal lists are served" in outcomes[0].message
    assert stopped == [True]
    assert (
        recommender_task(context(settings), connection).fingerprint
        == Registry(settings).versions("als_recommender")[0].fingerprint
    )
