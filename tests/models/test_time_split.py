"""The split follows the clock, and the as-of views hold back the future, the simulated and those who did not consent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from shopkit import DENIED, NOW, Shop, two_tastes

from jobs.core.errors import PermanentError
from models.base import Purchases
from models.dataset import fingerprint, read_best_sellers, read_profiles, read_purchases, read_traits
from models.profile_clusters import TRAITS
from models.splits import TimeSplit, to_us


def at(*moments: datetime) -> Purchases:
    n = len(moments)
    times = np.array([to_us(m) for m in moments])
    return Purchases(np.array(["a"]), np.array(["x"]), np.zeros(n, dtype=int), np.zeros(n, dtype=int), times)


def test_each_moment_falls_into_one_window() -> None:
    """As of 2018-01-02 the test window starts at 2017-12-05, the validation window at 2017-11-07, both included."""
    moments = [
        datetime(2017, 11, 6, 23, 59),
        datetime(2017, 11, 7),
        datetime(2017, 12, 4, 23, 59),
        datetime(2017, 12, 5),
    ]
    purchases = at(*(m.replace(tzinfo=UTC) for m in moments), NOW, NOW + timedelta(seconds=1))
    split = TimeSplit.before(NOW)
    assert [len(part) for part in split.validation(purchases)] == [1, 2]
    assert [len(part) for part in split.test(purchases)] == [3, 2]


def test_an_empty_window_is_named_with_the_remedy() -> None:
    with pytest.raises(PermanentError, match=r"none in the validation window, the test window; .*C360_NOW"):
        TimeSplit.before(NOW).require_windows(at(datetime(2017, 1, 1, tzinfo=UTC)))


def test_profiles_without_profiling_consent_are_never_in_the_training_data(connection: Any) -> None:
    """They bought as much as anyone; one more bought only what nobody else bought."""
    rows = connection.execute("select distinct profile_id from marts.fct_order_lines").fetchall()
    assert set(DENIED) <= {row[0] for row in rows}
    purchases = read_purchases(connection, NOW)
    assert not set(purchases.profiles.tolist()) & set(DENIED)
    assert not set(read_traits(connection, NOW).column("profile_id").to_pylist()) & set(DENIED)
    assert len(purchases.profiles) == 40


def test_items_that_only_the_denied_bought_are_not_learnt(open_shop: Callable[[Shop], Any]) -> None:
    shop = two_tastes()
    shop.buy("denied-0", "secret", NOW - timedelta(days=3))
    assert "secret" not in read_purchases(open_shop(shop), NOW).items.tolist()


def test_only_real_known_sold_things_up_to_the_clock_are_read(open_shop: Callable[[Shop], Any]) -> None:
    shop = Shop(profiles={"a": True})
    shop.buy("a", "now", NOW)
    shop.buy("a", "later", NOW + timedelta(seconds=1))
    shop.buy("a", "simulated", NOW - timedelta(days=1), simulated=True)
    shop.buy("a", "nothing", NOW - timedelta(days=1), quantity=0)
    shop.buy("a", "typeless", NOW - timedelta(days=1))
    shop.products["product of typeless"] = None
    assert read_purchases(open_shop(shop), NOW).items.tolist() == ["now"]


def test_two_lines_of_one_order_are_one_purchase(open_shop: Callable[[Shop], Any]) -> None:
    shop = Shop(profiles={"a": True})
    shop.buy("a", "milk", NOW)
    shop.buy("a", "milk", NOW)
    shop.buy("a", "milk", NOW - timedelta(days=1))
    assert read_purchases(open_shop(shop), NOW).counts().toarray().tolist() == [[2.0]]


def test_missing_consent_is_no_consent(connection: Any) -> None:
    rows = read_profiles(connection).to_pylist()
    found = {row["profile_id"]: row["has_profiling_consent"] for row in rows}
    assert (found["cold"], found["anonymous"], found["denied-0"]) == (True, False, False)


def test_the_best_seller_is_the_one_of_the_last_90_days(open_shop: Callable[[Shop], Any]) -> None:
    shop = Shop(profiles={"a": True}, products={"product of old milk": "milk", "product of new milk": "milk"})
    for days in (200, 201, 202):
        shop.buy("a", "old milk", NOW - timedelta(days=days))
    shop.buy("a", "new milk", NOW - timedelta(days=2))
    shop.buy("a", "bread", NOW - timedelta(days=300))
    shop.products |= {"product of old milk": "milk", "product of new milk": "milk"}
    assert read_best_sellers(open_shop(shop), NOW) == {"bread": "product of bread", "milk": "product of new milk"}


def test_traits_in_their_units(open_shop: Callable[[Shop], Any]) -> None:
    shop = Shop(profiles={"a": True, "cold": True}, touches=[("a", "redeemed", NOW, False), ("a", "sent", NOW, False)])
    shop.buy("a", "milk", NOW - timedelta(days=9), sales="4.00")
    shop.buy("a", "bread", NOW - timedelta(days=4), sales="2.00")
    row = read_traits(open_shop(shop), NOW).to_pylist()
    assert row == [
        {
            "profile_id": "a",
            "days_since_last_order": 4.0,
            "order_count": 2.0,
            "lifetime_value": 6.0,
            "average_order_value": 3.0,
            "product_variety": 2.0,
            "discount_share": pytest.approx(0.2 / 6.2),
            "coupons_redeemed": 1.0,
            "discount_share_is_imputed": False,
        }
    ]
    assert set(row[0]) == {"profile_id", *TRAITS, "discount_share_is_imputed"}


def test_the_fingerprint_sees_every_change_and_no_border(connection: Any) -> None:
    one = fingerprint([np.array(["a", "bc"]), np.arange(3)])
    assert one == fingerprint([np.array(["a", "bc"]), np.arange(3)])
    assert one != fingerprint([np.array(["ab", "c"]), np.arange(3)])
    assert one != fingerprint([np.array(["a", "bc"]), np.arange(3.0)])
    assert fingerprint([read_traits(connection, NOW)]) == fingerprint([read_traits(connection, NOW)])
