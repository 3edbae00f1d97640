"""A tiny published warehouse in memory, and ALS without a JVM: what the tests of the models share.

Two tastes: half of the profiles buy only even items, half only odd ones, each in an order of its own, so that what a profile
has not bought yet can be foretold from its taste and not from popularity. Everything is fixed; nothing is random.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import session
from models.als_recommender import AlsRecommender, fold_in
from models.base import Purchases
from models.tracking import Registered, Registry

NOW = datetime(2018, 1, 2, tzinfo=UTC)
ITEMS = 100
TASTERS = 40
DENIED = ("denied-0", "denied-1", "denied-2")

DDL = """
create schema marts;
create schema intermediate;
create table intermediate.int_identity__partings (profile_id varchar, ledger_version bigint);
create table marts.dim_profiles (profile_id varchar, has_profiling_consent boolean, is_simulated boolean);
create table marts.dim_products (product_id varchar, product_type varchar);
create table marts.fct_order_lines (
    order_id varchar, profile_id varchar, product_id varchar, quantity bigint, sales_value decimal(18, 2),
    retail_discount decimal(18, 2), ordered_at timestamptz, is_simulated boolean);
create table marts.fct_campaign_touches (profile_id varchar, touch_type varchar, touched_at timestamptz, is_simulated boolean);
"""


def context(settings: Settings, now: datetime = NOW, run_id: str = "run-1") -> Context:
    """A context on a fixed clock."""
    return Context(settings, Clock(now), run_id)


@dataclass
class Shop:
    """Rows of the marts that the models read; change them, then `load`."""

    profiles: dict[str, bool | None] = field(default_factory=dict)
    lines: list[tuple[Any, ...]] = field(default_factory=list)
    touches: list[tuple[Any, ...]] = field(default_factory=list)
    products: dict[str, str | None] = field(default_factory=dict)
    simulated: set[str] = field(default_factory=set)

    def buy(
        self, profile: str, item: str, at: datetime, *, quantity: int = 1, simulated: bool = False, sales: str = "2.50"
    ) -> None:
        """One order of one line; each type is sold as one product."""
        self.products.setdefault(f"product of {item}", item)
        order = f"{profile}/{at.isoformat()}"
        self.lines.append((order, profile, f"product of {item}", quantity, sales, "0.10", at, simulated))

    def load(self, connection: Any) -> Any:
        """Creates the marts in a DuckDB connection and returns it."""
        connection.execute(DDL)
        for table, rows in (
            ("dim_profiles", [(p, c, p in self.simulated) for p, c in self.profiles.items()]),
            ("dim_products", list(self.products.items())),
            ("fct_order_lines", self.lines),
            ("fct_campaign_touches", self.touches),
        ):
            for start in range(0, len(rows), 500):  # one statement for many rows: executemany takes seconds
                chunk = rows[start : start + 500]
                marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in chunk)
                connection.execute(
                    f"insert into marts.{table} values {marks}", [value for row in chunk for value in row]
                )
        return connection


def item_name(number: int) -> str:
    """Names that sort like their numbers."""
    return f"item {number:02d}"


def two_tastes() -> Shop:
    """40 consenting buyers, 3 who deny profiling and buy as much, one cold and one anonymous, simulated profile."""
    shop = Shop()
    for number in range(TASTERS):
        _shop_for(shop, f"buyer-{number:02d}", number)
        shop.profiles[f"buyer-{number:02d}"] = True
    for number, name in enumerate(DENIED):
        _shop_for(shop, name, number)
        shop.profiles[name] = False
    shop.profiles |= {"cold": True, "anonymous": None}
    shop.simulated = {"anonymous"}
    return shop


def _shop_for(shop: Shop, profile: str, number: int) -> None:
    """One order every 5 days for 170 days up to now; the item walks through the profile's taste."""
    per_taste = ITEMS // 2
    for visit in range(34):
        if visit % 7 == number % 7:
            continue  # not everybody comes every time
        step = (number * 7 + visit * (1 + number % 3)) % per_taste
        shop.buy(profile, item_name(2 * step + number % 2), NOW - timedelta(days=170 - 5 * visit, hours=number % 12))


def numpy_als(self: AlsRecommender, _: object, ratings: sp.coo_matrix) -> None:
    """Stands in for Spark: alternates the same two least-squares problems from a seeded start."""
    counts = ratings.tocsr().copy()
    counts.data = np.round(np.exp(counts.data - 1.0))
    turned = counts.T.tocsr()
    start = np.random.default_rng(self.params.seed).random((counts.shape[1], self.params.rank))
    items = start / np.linalg.norm(start, axis=1, keepdims=True)
    for _ in range(self.params.max_iter):
        users = fold_in(items, counts, self.params)
        items = fold_in(users, turned, self.params)
    self.item_factors, self.user_factors = items, fold_in(items, counts, self.params)


def stand_in_for_spark(patch: pytest.MonkeyPatch) -> None:
    """Factors from numpy, and a session that is never started."""

    class NoSession:
        def stop(self) -> None:
            """Nothing to stop."""

    patch.setattr(AlsRecommender, "_fit_factors", numpy_als)
    patch.setattr(session, "open_session", lambda *_: NoSession())


def checkerboard(size: int = 20) -> Purchases:
    """size by size: profile and item belong together when both are even or both odd, but for the diagonal."""
    pairs = [(p, i) for p in range(size) for i in range(size) if (p + i) % 2 == 0 and p != i]
    profile, item = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    profiles = np.array([f"profile {n:02d}" for n in range(size)])
    items = np.array([item_name(n) for n in range(size)])
    return Purchases(profiles, items, profile, item, np.arange(len(pairs), dtype=np.int64))


def champion(registry: Registry, model_name: str) -> Registered:
    """The version that is served; there must be one."""
    found = registry.champion(model_name)
    assert found is not None
    return found
