"""What the models read: as-of views of the published marts. Real rows only; training rows of consenting profiles only. And how
much of the identity ledger those marts know of.

Times are compared as microseconds, so that a mart column with or without a zone gives the same rows.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.base import DAY_US, Ints, Names, Purchases
from models.imputation import impute, load_rules
from models.splits import to_us

BEST_SELLER_DAYS = 90

PURCHASES = """
select l.profile_id, p.product_type as item_id, min(epoch_us(l.ordered_at)) as at_us
from marts.fct_order_lines as l
inner join marts.dim_products as p on l.product_id = p.product_id
inner join marts.dim_profiles as d on l.profile_id = d.profile_id
where not l.is_simulated
  and p.product_type is not null
  and l.quantity > 0
  and epoch_us(l.ordered_at) <= ?
  and d.has_profiling_consent
group by l.profile_id, p.product_type, l.order_id
"""

PROFILES = """
select profile_id, has_profiling_consent, is_simulated
from marts.dim_profiles
order by profile_id
"""

PARTINGS = "select coalesce(max(ledger_version), 0) from intermediate.int_identity__partings"

# Sales are counted in order lines: fuel and weighed goods carry quantities in the thousands.
BEST_SELLERS = """
with sold as (
    select p.product_type as item_id, l.product_id,
        count(*) filter (where epoch_us(l.ordered_at) > ?) as recent_lines, count(*) as all_lines
    from marts.fct_order_lines as l
    inner join marts.dim_products as p on l.product_id = p.product_id
    where not l.is_simulated and p.product_type is not null and l.quantity > 0 and epoch_us(l.ordered_at) <= ?
    group by p.product_type, l.product_id
)
select item_id, first(product_id order by recent_lines desc, all_lines desc, product_id) as product_id
from sold
group by item_id
order by item_id
"""

TRAITS = """
with lines as (
    select l.*, p.product_type
    from marts.fct_order_lines as l
    inner join marts.dim_profiles as d on l.profile_id = d.profile_id
    left join marts.dim_products as p on l.product_id = p.product_id
    where not l.is_simulated and epoch_us(l.ordered_at) <= ? and d.has_profiling_consent
), touches as (
    select profile_id, count(*) filter (where touch_type = 'redeemed') as coupons_redeemed
    from marts.fct_campaign_touches
    where not is_simulated and epoch_us(touched_at) <= ?
    group by profile_id
)
select l.profile_id,
    ((? - max(epoch_us(l.ordered_at))) // 86400000000)::double as days_since_last_order,
    count(distinct l.order_id)::double as order_count,
    sum(l.sales_value)::double as lifetime_value,
    sum(l.sales_value)::double / count(distinct l.order_id) as average_order_value,
    count(distinct l.product_type)::double as product_variety,
    sum(l.retail_discount)::double / nullif(sum(l.sales_value + l.retail_discount)::double, 0) as discount_share,
    coalesce(max(t.coupons_redeemed), 0)::double as coupons_redeemed
from lines as l
left join touches as t on l.profile_id = t.profile_id
group by l.profile_id
order by l.profile_id
"""


class Connection(Protocol):
    """The part of a DuckDB connection that the models use; jobs.warehouse hands it out."""

    def execute(self, query: str, parameters: object = ..., /) -> Any:
        """Runs one statement with bound parameters."""


def read_purchases(connection: Connection, as_of: datetime) -> Purchases:
    """Product types that consenting profiles bought up to `as_of`, one row per order and type.

    Simulated rows, lines without quantity and products without a type are left out. The order of the rows is fixed.
    """
    table = connection.execute(PURCHASES, [to_us(as_of)]).to_arrow_table()
    profiles, profile = _codes(table.column("profile_id"))
    items, item = _codes(table.column("item_id"))
    at_us = table.column("at_us").to_numpy()
    order = np.lexsort((at_us, item, profile))
    return Purchases(profiles, items, profile[order], item[order], at_us[order])


def read_profiles(connection: Connection) -> pa.Table:
    """profile_id, has_profiling_consent, is_simulated of every profile, by profile_id; consent is never NULL."""
    table: pa.Table = connection.execute(PROFILES).to_arrow_table()
    consent = pc.fill_null(table.column("has_profiling_consent"), fill_value=False)
    return table.set_column(1, "has_profiling_consent", consent)


def read_ledger_version(connection: Connection) -> int:
    """The newest split or undo of profiles that this warehouse knows of, 0 for none; what is scored from it goes by that."""
    return int(connection.execute(PARTINGS).fetchall()[0][0])


def read_best_sellers(connection: Connection, as_of: datetime) -> dict[str, str]:
    """product type → the product sold on most lines in the last 90 days (ever, if none was); ties by product_id."""
    now = to_us(as_of)
    table = connection.execute(BEST_SELLERS, [now - BEST_SELLER_DAYS * DAY_US, now]).to_arrow_table()
    return dict(zip(table.column("item_id").to_pylist(), table.column("product_id").to_pylist(), strict=True))


def read_traits(connection: Connection, as_of: datetime) -> pa.Table:
    """profile_id and one double column per trait, for consenting profiles with an order up to `as_of`, by profile_id.

    Units: days, orders, USD, USD per order, product types, share of the shelf price, coupons. From real rows only. What is
    missing is filled by `imputation.yml`, with a boolean `<trait>_is_imputed` for each trait that has a rule.
    """
    now = to_us(as_of)
    table: pa.Table = connection.execute(TRAITS, [now, now, now]).to_arrow_table()
    return impute(table, load_rules()["profile_clusters"])


def fingerprint(parts: Iterable[object]) -> str:
    """sha256 over arrays, tables and plain values in order; equal content, equal digest."""
    digest = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            digest.update(len(piece).to_bytes(8, "big"))  # lengths separate: ("a", "bc") is not ("ab", "c")
            digest.update(piece)
    return digest.hexdigest()


def purchases_parts(purchases: Purchases) -> list[object]:
    """The content of the purchases, for the fingerprint."""
    return [purchases.profiles, purchases.items, purchases.profile, purchases.item, purchases.at_us]


def code_version() -> str:
    """sha256 over the sources of this package: another way to train is another model, also on equal data."""
    folder = Path(__file__).parent
    sources = sorted([*folder.glob("*.py"), *folder.glob("*.yml")])
    return fingerprint(part for path in sources for part in (path.name, path.read_text(encoding="utf-8")))


def _pieces(part: object) -> list[bytes]:
    if isinstance(part, pa.Table):
        return [
            piece for name in part.column_names for piece in (name.encode(), *_pieces(part.column(name).to_numpy()))
        ]
    if isinstance(part, np.ndarray):
        if part.dtype.kind in "OU":
            return ["\x1f".join(str(value) for value in part).encode()]
        return [str(part.dtype).encode(), np.ascontiguousarray(part).tobytes()]
    return [repr(part).encode()]


def _codes(column: pa.ChunkedArray) -> tuple[Names, Ints]:
    encoded = column.combine_chunks().dictionary_encode()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=np.str_)
    order = np.argsort(names, kind="stable")
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return names[order], position[codes] if len(order) else codes
