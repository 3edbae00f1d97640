"""Missing features: each rule against a figure by hand, the flags, what is missing everywhere, and gaps without a rule."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from shopkit import NOW, Shop

from jobs.core.errors import PermanentError
from models.dataset import read_traits
from models.imputation import Rule, impute, load_rules
from models.profile_clusters import TRAITS, ProfileClusters, trait_matrix

KNN = Rule(rule="knn", neighbours=2, of=("height",))
TABLE = pa.table(
    {
        "profile_id": ["a", "b", "c", "d", "e"],
        "share": pa.array([1.0, 2.0, None, 4.0, 9.0], pa.float64()),
        "height": [1.0, 2.0, 3.9, 4.0, 100.0],
    }
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [(Rule(rule="median"), 3.0), (Rule(rule="mean"), 4.0), (KNN, 3.0)],  # knn: between b (2) and d (4)
)
def test_each_rule_fills_the_gap_and_flags_it(rule: Rule, expected: float) -> None:
    filled = impute(TABLE, {"share": rule})
    assert filled.column("share").to_pylist() == [1.0, 2.0, expected, 4.0, 9.0]
    assert filled.column("share_is_imputed").to_pylist() == [False, False, True, False, False]
    assert filled.column_names == [*TABLE.column_names, "share_is_imputed"]


@pytest.mark.parametrize("rule", [Rule(rule="median"), Rule(rule="mean"), KNN])
def test_what_is_missing_everywhere_says_nothing_about_anybody(rule: Rule) -> None:
    table = TABLE.set_column(1, "share", pa.nulls(5, pa.float64()))
    filled = impute(table, {"share": rule})
    assert filled.column("share").to_pylist() == [0.0] * 5
    assert filled.column("share_is_imputed").to_pylist() == [True] * 5


@pytest.mark.parametrize("rule", [Rule(rule="median"), Rule(rule="mean"), KNN])
def test_nothing_is_touched_where_nothing_is_missing(rule: Rule) -> None:
    whole = TABLE.filter(TABLE.column("share").is_valid())
    filled = impute(whole, {"share": rule})
    assert filled.select(whole.column_names).equals(whole)
    assert filled.column("share_is_imputed").to_pylist() == [False] * 4
    assert impute(whole.slice(0, 0), {"share": rule}).num_rows == 0


def test_a_gap_without_a_rule_and_a_rule_without_a_feature_are_errors() -> None:
    with pytest.raises(PermanentError, match="share: values are missing"):
        impute(TABLE, {})
    with pytest.raises(PermanentError, match="not there: weight"):
        impute(TABLE, {"share": Rule(rule="knn", of=("weight",))})


@pytest.mark.parametrize("text", [{"rule": "guess"}, {"rule": "knn"}, {"rule": "mean", "of": ["height"]}])
def test_a_rule_that_makes_no_sense_is_refused(text: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(text)


def test_clusters_read_traits_without_gaps(open_shop: Callable[[Shop], Any]) -> None:
    """A profile that was only given things for free has no share of a price: its neighbours' share stands in, flagged."""
    shop = Shop(profiles={f"p{n}": True for n in range(8)})
    for n in range(7):
        shop.buy(f"p{n}", "milk", NOW - timedelta(days=n), sales=f"{n + 1}.00")
    shop.buy("p7", "gift", NOW, sales="-0.10")  # and 0.10 off: a price of nothing
    table = read_traits(open_shop(shop), NOW)
    assert table.column("discount_share_is_imputed").to_pylist() == [False] * 7 + [True]
    shares = table.column("discount_share").to_pylist()
    assert shares[7] == pytest.approx(np.mean(shares[:5]))
    assert not np.isnan(trait_matrix(table)).any()
    assert set(load_rules()["profile_clusters"]) <= set(TRAITS)
    ProfileClusters(seed=1).fit(trait_matrix(table))
