"""Clusters: found again when they are there, the same on every run, named by what sets them apart."""

import numpy as np
import pytest

from models.base import EmptyTrainingError
from models.profile_clusters import TRAITS, ProfileClusters, Scaler, describe, elbow, silhouette, value_groups

SIZES = (60, 40, 25)


def three_kinds() -> np.ndarray:
    """60 rare small shoppers, 40 frequent big ones, 25 coupon users; a little seeded noise."""
    centres = np.array(
        [[90, 3, 40, 13, 10, 0.05, 0], [5, 80, 4000, 50, 300, 0.1, 0], [20, 20, 400, 20, 90, 0.3, 9]], dtype=float
    )
    rows = np.repeat(centres, SIZES, axis=0)
    return rows * np.random.default_rng(3).uniform(0.9, 1.1, size=rows.shape)


def test_three_kinds_are_found_ordered_by_size() -> None:
    model = ProfileClusters(seed=1).fit(three_kinds())
    assert model.sizes == list(SIZES)
    clusters, distances = model.assign(three_kinds())
    assert clusters.tolist() == np.repeat([0, 1, 2], SIZES).tolist()
    assert (distances >= 0).all()


def test_learning_twice_gives_the_same_clusters() -> None:
    one, two = (ProfileClusters(seed=1).fit(three_kinds()).to_dict() for _ in range(2))
    assert one == two


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = three_kinds()
    straight = ProfileClusters(seed=1).fit(rows)
    turned = ProfileClusters(seed=1).fit(rows[::-1].copy())
    assert straight.assign(rows)[0].tolist() == turned.assign(rows)[0].tolist()
    assert straight.names == turned.names


def test_names_say_what_sets_clusters_apart() -> None:
    names = ProfileClusters(seed=1).fit(three_kinds()).names
    assert len(set(names)) == 3
    assert "coupon users" in names[2].lower()


def test_equal_looking_clusters_get_different_names() -> None:
    centroid = np.zeros(len(TRAITS))
    centroid[0] = 2.0
    described = describe(np.array([centroid, centroid, np.zeros(len(TRAITS)), np.zeros(len(TRAITS))]))
    assert [name for name, _ in described] == [
        "Long absent",
        "Long absent (2)",
        "Average shoppers",
        "Average shoppers (2)",
    ]
    assert next(iter(described[0][1].items())) == ("days_since_last_order", 2.0)


def test_elbow_by_hand() -> None:
    """From 100 straight down to 20 at k = 4, then flat: the bend is at 4."""
    assert elbow({2: 100.0, 3: 60.0, 4: 20.0, 5: 15.0, 6: 10.0}) == 4
    assert elbow({2: 5.0}) == 2
    assert elbow({2: 5.0, 3: 5.0, 4: 5.0}) == 2


def test_scaling_is_log_then_mean_0_and_deviation_1_and_survives_constants() -> None:
    rows = np.array([[0.0, 7.0], [np.e - 1, 7.0], [-5.0, 7.0]])
    scaled = Scaler.learn(rows).scale(rows)
    assert scaled[:, 0].mean() == pytest.approx(0)
    assert scaled[:, 0].std() == pytest.approx(1)
    assert scaled[:, 1].tolist() == [0, 0, 0]
    assert scaled[0, 0] == scaled[2, 0]


def test_silhouette_is_near_1_for_far_groups_and_0_for_one_group() -> None:
    rows = np.repeat([[0.0], [100.0]], 10, axis=0) + np.arange(20)[:, None] * 1e-3
    assert silhouette(rows, np.repeat([0, 1], 10), seed=1) > 0.99
    assert silhouette(rows, np.zeros(20, dtype=int), seed=1) == 0.0


def test_the_baseline_groups_are_of_equal_size_by_value() -> None:
    rows = np.zeros((6, len(TRAITS)))
    rows[:, TRAITS.index("lifetime_value")] = [6, 5, 4, 3, 2, 1]
    assert value_groups(rows, 3).tolist() == [2, 2, 1, 1, 0, 0]


def test_round_trip() -> None:
    model = ProfileClusters(seed=1).fit(three_kinds())
    again = ProfileClusters.from_dict(model.to_dict())
    np.testing.assert_array_equal(again.assign(three_kinds())[1], model.assign(three_kinds())[1])
    assert again.to_dict() == model.to_dict()


@pytest.mark.parametrize("rows", [1, 2])
def test_too_few_profiles_are_one_cluster(rows: int) -> None:
    model = ProfileClusters(seed=1).fit(three_kinds()[:rows])
    assert model.names == ["Average shoppers"]


def test_nobody_is_refused() -> None:
    with pytest.raises(EmptyTrainingError, match="profiling consent"):
        ProfileClusters(seed=1).fit(np.zeros((0, len(TRAITS))))
