"""When a model is trained, what is registered, and what is not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from shopkit import NOW, Shop, champion, context, two_tastes

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from models import recommender_training
from models.tracking import Registry
from models.training import Action, Outcome, train_all

pytestmark = pytest.mark.usefixtures("without_spark")
ALS, CLUSTERS = "als_recommender", "profile_clusters"


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return Registry(settings)


@pytest.fixture(autouse=True)
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommender_training, "GRID", ((4, 0.01, 1.0), (8, 0.1, 1.0)))


def actions(outcomes: list[Outcome]) -> dict[str, Action]:
    return {outcome.model_name: outcome.action for outcome in outcomes}


def metrics(settings: Settings) -> list[dict[str, Any]]:
    return delta.read(settings, "ops_model_metrics").to_pylist()


def test_first_training_registers_and_promotes(settings: Settings, connection: Any, registry: Registry) -> None:
    outcomes = train_all(context(settings), connection, registry, force=False)
    assert actions(outcomes) == {ALS: Action.REGISTERED, CLUSTERS: Action.REGISTERED}
    first = champion(registry, ALS)
    assert first.trained_at == NOW
    assert {"code_version", "c360_run_id", "rows", "verdict"} <= set(first.tags)


def test_als_beats_popularity_on_two_tastes_and_both_are_recorded(
    settings: Settings, connection: Any, registry: Registry
) -> None:
    train_all(context(settings), connection, registry, force=False)
    found = {(m["metric"], m["baseline"]): m["value"] for m in metrics(settings) if m["model_name"] == ALS}
    target = "recall_at_10_new_only"
    assert found[target, "model"] > 1.2 * found[target, "popularity"]
    assert ("recall_at_10_all_items", "own_most_frequent") in found
    assert all(m["is_champion"] and m["recorded_at"] == NOW for m in metrics(settings))


def test_training_again_on_equal_data_registers_nothing_even_when_forced(
    settings: Settings, connection: Any, registry: Registry
) -> None:
    train_all(context(settings), connection, registry, force=False)
    before = metrics(settings)
    young = train_all(context(settings, run_id="run-2"), connection, registry, force=False)
    forced = train_all(context(settings, run_id="run-3"), connection, registry, force=True)
    assert actions(young) == {ALS: Action.YOUNG, CLUSTERS: Action.YOUNG}
    assert actions(forced) == {ALS: Action.UNCHANGED, CLUSTERS: Action.UNCHANGED}
    assert [len(registry.versions(name)) for name in (ALS, CLUSTERS)] == [1, 1]
    assert metrics(settings) == before


def grown(days: int) -> Shop:
    """Two tastes, and a day on which everybody bought once more."""
    shop = two_tastes()
    for profile in [p for p in shop.profiles if p.startswith("buyer")]:
        shop.buy(profile, "item 00", NOW + timedelta(days=days))
    return shop


@pytest.mark.parametrize("case", [(6, False, 1), (6, True, 2), (7, False, 2)], ids=["young", "forced", "old"])
def test_new_data_makes_a_new_version_when_the_champion_is_old_or_it_is_forced(
    settings: Settings, open_shop: Callable[[Shop], Any], registry: Registry, case: tuple[int, bool, int]
) -> None:
    days, force, versions = case
    train_all(context(settings), open_shop(two_tastes()), registry, force=False)
    later = context(settings, NOW + timedelta(days=days), run_id="run-2")
    train_all(later, open_shop(grown(days)), registry, force=force)
    assert len(registry.versions(ALS)) == versions
    assert champion(registry, ALS).version == str(versions)


def test_a_model_that_is_not_better_says_so_and_popularity_is_served(
    settings: Settings, connection: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommender_training, "MARGIN", 99.0)
    outcome = train_all(context(settings), connection, registry, force=False)[0]
    assert "NOT better, popularity is served" in outcome.message
    assert registry.load(champion(registry, ALS))["model.json"]["served"] == "popular"


def test_a_model_that_is_not_better_does_not_replace_a_champion(
    settings: Settings, open_shop: Callable[[Shop], Any], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_all(context(settings), open_shop(two_tastes()), registry, force=False)
    monkeypatch.setattr(recommender_training, "MARGIN", 99.0)
    later = context(settings, NOW + timedelta(days=7), run_id="run-2")
    outcome = train_all(later, open_shop(grown(7)), registry, force=False)[0]
    assert (outcome.action, outcome.version) == (Action.NOT_BETTER, "1")
    assert len(registry.versions(ALS)) == 1
    rows = [m for m in metrics(settings) if m["run_id"] == "run-2" and m["model_name"] == ALS]
    assert {(m["model_version"], m["is_champion"]) for m in rows} == {("unregistered", False)}
    again = train_all(later, open_shop(grown(7)), registry, force=False)[0]
    assert (again.action, again.version) == (Action.UNCHANGED, "1")


def test_a_run_that_stopped_between_registering_and_promoting_is_finished_by_the_next(
    settings: Settings, connection: Any, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", crash)
        with pytest.raises(KeyboardInterrupt):
            train_all(context(settings), connection, registry, force=False)
    assert registry.champion(ALS) is None
    train_all(context(settings, run_id="run-2"), connection, registry, force=False)
    assert champion(registry, ALS).version == "1"
    assert len(registry.versions(ALS)) == 1


def test_such_a_run_is_finished_also_when_an_older_champion_is_there(
    settings: Settings, open_shop: Callable[[Shop], Any], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: str) -> None:
        raise KeyboardInterrupt

    train_all(context(settings), open_shop(two_tastes()), registry, force=False)
    later, shop = context(settings, NOW + timedelta(days=7), run_id="run-2"), open_shop(grown(7))
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "promote", crash)
        with pytest.raises(KeyboardInterrupt):
            train_all(later, shop, registry, force=False)
    assert champion(registry, ALS).version == "1"
    recorded = [m for m in metrics(settings) if m["model_name"] == ALS]
    train_all(later, shop, registry, force=False)
    assert champion(registry, ALS).version == "2"
    assert [m for m in metrics(settings) if m["model_name"] == ALS] == recorded


def test_after_a_rollback_equal_data_does_not_bring_the_version_back(
    settings: Settings, open_shop: Callable[[Shop], Any], registry: Registry
) -> None:
    train_all(context(settings), open_shop(two_tastes()), registry, force=False)
    later, shop = context(settings, NOW + timedelta(days=7), run_id="run-2"), open_shop(grown(7))
    train_all(later, shop, registry, force=False)
    registry.promote(ALS, "1")
    train_all(later, shop, registry, force=True)
    assert champion(registry, ALS).version == "1"


@pytest.mark.parametrize("profiles", [{}, {"a": False}], ids=["no orders", "no consent"])
def test_training_without_data_is_refused(
    settings: Settings, open_shop: Callable[[Shop], Any], registry: Registry, profiles: dict[str, bool | None]
) -> None:
    shop = Shop(profiles=profiles)
    for name in profiles:
        shop.buy(name, "milk", NOW)
    with pytest.raises(PermanentError, match="no orders of profiles with profiling consent"):
        train_all(context(settings), open_shop(shop), registry, force=False)
    assert registry.names() == []
