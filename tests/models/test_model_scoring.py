"""What scoring writes: a list for everyone, a personal one only for those who may have it, and nothing when nothing changed."""

import dataclasses
import shutil
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from shopkit import DENIED, NOW, Shop, context, stand_in_for_spark, two_tastes

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import connect
from models import recommender_training
from models.als_recommender import AlsParams, AlsRecommender
from models.scoring import CLUSTERS, RECOMMENDATIONS, recommend, score_all
from models.tracking import Registry
from models.training import train_all

pytestmark = pytest.mark.usefixtures("without_spark")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def trained_home(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings], empty_registry: Path
) -> Path:
    """A home with champions trained on two tastes; copied for each test, since training takes seconds."""
    settings = make_settings(tmp_path_factory.mktemp("trained") / "home")
    shutil.copytree(empty_registry.parent, settings.home / "mlflow")
    with pytest.MonkeyPatch.context() as patch, closing(connect(settings)) as connection:
        stand_in_for_spark(patch)
        patch.setattr(recommender_training, "GRID", ((4, 0.01, 1.0),))
        train_all(context(settings), two_tastes().load(connection), Registry(settings), force=False)
    return settings.home


@pytest.fixture
def registry(settings: Settings, trained_home: Path) -> Registry:
    """A registry with champions, whose folder is another one than that of the training."""
    shutil.rmtree(settings.home / "mlflow")
    shutil.copytree(trained_home / "mlflow", settings.home / "mlflow")
    return Registry(settings)


def lists(settings: Settings) -> dict[str, list[Row]]:
    rows = sorted(delta.read(settings, RECOMMENDATIONS).to_pylist(), key=lambda r: (r["profile_id"], r["rank"]))
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["profile_id"], []).append(row)
    return found


def test_everyone_gets_ten_ranked_items_with_a_product(settings: Settings, connection: Any, registry: Registry) -> None:
    score_all(context(settings), connection, registry)
    found = lists(settings)
    assert set(found) == set(two_tastes().profiles)
    for rows in found.values():
        assert [r["rank"] for r in rows] == list(range(1, 11))
        assert len({r["item_id"] for r in rows}) == 10
        assert [r["score"] for r in rows] == sorted((r["score"] for r in rows), reverse=True)
        assert all(r["product_id"] == f"product of {r['item_id']}" for r in rows)
        assert {(r["item_kind"], r["model_version"], r["scored_at"]) for r in rows} == {("product_type", "1", NOW)}


def test_why_a_list_is_not_personal(settings: Settings, connection: Any, registry: Registry) -> None:
    score_all(context(settings), connection, registry)
    found = {
        profile: {(r["tier"], r["is_fallback"], r["fallback_reason"]) for r in rows}
        for profile, rows in lists(settings).items()
    }
    assert found["buyer-00"] == {("personal", False, None)}
    assert found["cold"] == {("popular", True, "cold_profile")}
    assert found["anonymous"] == found["denied-0"] == {("popular", True, "no_profiling_consent")}


def test_scores_of_simulated_profiles_say_so(settings: Settings, connection: Any, registry: Registry) -> None:
    connection.execute("update marts.dim_profiles set is_simulated = true where profile_id = 'buyer-07'")
    score_all(context(settings), connection, registry)
    marked = [
        {row["profile_id"] for row in delta.read(settings, name).to_pylist() if row["is_simulated"]}
        for name in (RECOMMENDATIONS, CLUSTERS)
    ]
    assert marked == [{"anonymous", "buyer-07"}, {"buyer-07"}]


def test_equal_scores_are_written_again_once_somebody_was_parted(
    settings: Settings, connection: Any, registry: Registry
) -> None:
    """Or nobody would ever see them again: the marts leave out what was scored before."""
    score_all(context(settings), connection, registry)
    connection.execute("insert into intermediate.int_identity__partings values ('buyer-00', 7)")
    assert [w.changed for w in score_all(context(settings), connection, registry)] == [True, True]
    for name in (RECOMMENDATIONS, CLUSTERS):
        assert set(delta.read(settings, name)["ledger_version"].to_pylist()) == {7}
    assert [w.changed for w in score_all(context(settings), connection, registry)] == [False, False]


def test_personal_lists_are_new_and_of_the_right_taste(settings: Settings, connection: Any, registry: Registry) -> None:
    score_all(context(settings), connection, registry)
    bought = {(line[1], line[2].removeprefix("product of ")) for line in two_tastes().lines}
    for profile, rows in lists(settings).items():
        if rows[0]["tier"] == "personal":
            assert not {(profile, r["item_id"]) for r in rows} & bought
    first = lists(settings)["buyer-00"][0]["item_id"]
    assert int(first.removeprefix("item ")) % 2 == 0


def test_without_consent_the_history_has_no_influence(settings: Settings, connection: Any, registry: Registry) -> None:
    """Those who deny get exactly the list of somebody who never bought: not even a mask of what they bought."""
    score_all(context(settings), connection, registry)
    found = lists(settings)
    cold = [r["item_id"] for r in found["cold"]]
    assert all([r["item_id"] for r in found[name]] == cold for name in DENIED)


def test_consent_withdrawn_after_training_counts_at_once(
    settings: Settings, connection: Any, registry: Registry
) -> None:
    connection.execute("update marts.dim_profiles set has_profiling_consent = false where profile_id = 'buyer-00'")
    score_all(context(settings), connection, registry)
    assert {r["fallback_reason"] for r in lists(settings)["buyer-00"]} == {"no_profiling_consent"}
    assert "buyer-00" not in delta.read(settings, CLUSTERS).column("profile_id").to_pylist()


def test_clusters_hold_consenting_buyers_only(settings: Settings, connection: Any, registry: Registry) -> None:
    score_all(context(settings), connection, registry)
    rows = delta.read(settings, CLUSTERS).to_pylist()
    assert sorted(r["profile_id"] for r in rows) == [f"buyer-{n:02d}" for n in range(40)]
    sizes = [sum(r["cluster_id"] == c for r in rows) for c in range(1 + max(r["cluster_id"] for r in rows))]
    assert sizes == sorted(sizes, reverse=True)


def test_scoring_again_on_equal_input_writes_nothing(settings: Settings, connection: Any, registry: Registry) -> None:
    first = score_all(context(settings), connection, registry)
    versions = [delta.version(settings, name) for name in (RECOMMENDATIONS, CLUSTERS)]
    second = score_all(context(settings, NOW + timedelta(minutes=1), run_id="run-2"), connection, registry)
    assert [w.changed for w in first] == [True, True]
    assert [w.changed for w in second] == [False, False]
    assert [delta.version(settings, name) for name in (RECOMMENDATIONS, CLUSTERS)] == versions


def test_a_changed_list_replaces_the_rows_of_this_model_alone(
    settings: Settings, connection: Any, registry: Registry
) -> None:
    score_all(context(settings), connection, registry)
    other = delta.read(settings, RECOMMENDATIONS).slice(0, 1)
    other = other.set_column(0, "model_name", [["another_model"]])
    delta.append(settings, RECOMMENDATIONS, other)
    connection.execute("insert into marts.dim_profiles values ('new', true, false)")
    assert score_all(context(settings), connection, registry)[0].changed
    rows = delta.read(settings, RECOMMENDATIONS).to_pylist()
    assert sum(r["model_name"] == "another_model" for r in rows) == 1
    assert sum(r["model_name"] == "als_recommender" for r in rows) == 10 * 46


def test_when_the_model_is_not_better_everyone_gets_popularity(
    settings: Settings, connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommender_training, "GRID", ((4, 0.01, 1.0),))
    monkeypatch.setattr(recommender_training, "MARGIN", 99.0)
    made = Registry(settings)
    train_all(context(settings), connection, made, force=False)
    score_all(context(settings), connection, made)
    found = lists(settings)
    assert {(r["tier"], r["fallback_reason"]) for r in found["buyer-00"]} == {("popular", "model_not_better")}
    assert {r["fallback_reason"] for r in found["denied-0"]} == {"no_profiling_consent"}


def test_someone_who_bought_nearly_everything_is_given_it_again() -> None:
    items = np.array([f"i{n:02d}" for n in range(12)])
    share = np.linspace(1.0, 0.1, 12)
    model = AlsRecommender.from_parts(AlsParams(rank=1, blend=1.0), items, np.ones((12, 1)), share)
    history = sp.csr_matrix(np.array([[0.0] * 3 + [1.0] * 9]))
    found = recommend(model, history, np.array([True]), is_personal=True)
    assert found.item.tolist() == list(range(10))
    assert found.tier == ["personal"] * 3 + ["repeat"] * 7
    assert found.rank.tolist() == list(range(1, 11))


def test_without_a_champion_scoring_says_what_to_do(settings: Settings, open_shop: Callable[[Shop], Any]) -> None:
    empty = dataclasses.replace(context(settings), run_id="run-9")
    with pytest.raises(PermanentError, match="train first: c360 models train"):
        score_all(empty, open_shop(Shop()), Registry(settings))
