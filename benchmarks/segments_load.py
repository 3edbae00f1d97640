"""Simulated shoppers for the benchmarks of segments: definitions of every kind of rule, and events appended to silver."""

import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import connect
from jobs.lake.schema import arrow_schema

SOURCE = "sim_load"
NAMES = ("Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Product Added", "Order Completed")
RULES = {
    "viewed_lately": "{event: Product Viewed, last: 2 minutes}",
    "viewed_often": "{event: Product Viewed, last: 1 day, gte: 5}",
    "buyers": "{event: Order Completed, last: 30 days}",
    "big_spenders": "{event: Order Completed, sum: total, last: 30 days, gte: 300}",
    "best_orders": "{event: Order Completed, where: [{property: total, gte: 90}]}",
    "cart_left": "{event: Product Added, not_followed_by: {event: Order Completed}, within: 1 minute, last: 1 hour}",
    "view_then_cart": "{sequence: [{event: Product Viewed}, {event: Product Added, within: 5 minutes}], last: 1 hour}",
    "viewed_today": "{event: Product Viewed, this: day, gte: 2}",
    "shoes": "{event: Product Viewed, where: [{property: category, eq: shoes}], last: 7 days, gte: 3}",
    "many_categories": "{event: Product Viewed, distinct: category, last: 7 days, gte: 4}",
    "silent": "{none: [{event: [Product Viewed, Product Added], last: 10 minutes}]}",
    "keen": "{all: [{segment: viewed_often}, {not: {segment: buyers}}]}",
}


BLOCK = 1_000_000
PAST = """
select 'sim_load' as source, 'p' || i as event_id, 'p' || i as message_id, true as is_simulated, 'track' as type,
    ['Product Viewed', 'Product Viewed', 'Product Viewed', 'Product Added', 'Product Added', 'Order Completed']
        [1 + cast(hash(i, $seed) % 6 as int)] as name,
    moment as occurred_at, moment as received_at, moment as effective_at, cast(moment as date) as event_date,
    false as is_time_suspect, i as receive_position, 'u' || (i % $profiles) as user_id, cast([] as varchar[]) as flags,
    '' as body_hash, 1 as contract_version, 'load' as ingest_batch,
    '{"category": "' || ['shoes', 'hats', 'bags', 'books', 'toys', 'food'][1 + cast(hash(i, $seed, 1) % 6 as int)]
        || '", "total": ' || (hash(i, $seed, 2) % 100) || '.5, "product_id": "P' || (i % 999) || '"}' as properties
from (
    select i, $before - to_seconds(60 + cast(hash(i, $seed, 3) % 1728000 as int)) as moment
    from range($first, $until) as numbers (i)
)
"""
IDENTIFIERS = (
    "select source, event_id, 'user_id' as identifier_type, user_id as identifier_value, is_simulated, effective_at,"
    " received_at, event_date, receive_position, ingest_batch from rows"
)


def write_definitions(folder: Path) -> Path:
    """One file per rule in `folder`/segments."""
    for name in ("segments", "traits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, rule in RULES.items():
        text = f"name: {name}\ndescription: Used by the benchmarks of segments.\nrule: {rule}\nallow_all: true\n"
        (folder / "segments" / f"{name}.yml").write_text(text, encoding="utf-8")
    return folder


def shoppers_events(
    chance: random.Random, count: int, profiles: int, *, first: int, times: list[datetime]
) -> list[dict[str, Any]]:
    """Events of random shoppers, received at the given times (one each, or one for all)."""
    plain = dict.fromkeys(lake_table("silver_events").contract.column_names)
    fixed = {"source": SOURCE, "is_simulated": True, "type": "track", "is_time_suspect": False, "flags": [], "body_hash": "",
             "contract_version": 1, "ingest_batch": "load"}  # fmt: skip
    rows = []
    for number in range(count):
        at = times[number % len(times)]
        category = chance.choice(("shoes", "hats", "bags", "books", "toys", "food"))
        rows.append(plain | fixed | {
            "event_id": f"e{first + number}", "message_id": f"e{first + number}", "name": chance.choice(NAMES),
            "occurred_at": at, "received_at": at, "effective_at": at, "event_date": at.date(),
            "receive_position": first + number, "user_id": f"u{chance.randrange(profiles)}",
            "properties": f'{{"category": "{category}", "total": {chance.randrange(100)}.5, "product_id": "P{number % 999}"}}',
        })  # fmt: skip
    return rows


def to_silver(settings: Settings, rows: list[dict[str, Any]]) -> None:
    """Appends events and their identifiers, as the ingest stream does."""
    for table, made in (("silver_identifiers", _sightings(rows)), ("silver_events", rows)):
        schema = arrow_schema(lake_table(table).contract)
        delta.append(settings, table, pa.Table.from_pylist(made, schema=schema))


def fill(settings: Settings, profiles: int, each: int, *, before: datetime, seed: int) -> None:
    """`each` events of every profile, in the 20 days before a moment."""
    values = {"seed": seed, "before": before, "profiles": profiles}
    with connect(settings) as connection:
        connection.execute("set enable_progress_bar = false")
        for first in range(0, profiles * each, BLOCK):
            span = {"first": first, "until": min(first + BLOCK, profiles * each)}
            rows = connection.execute(PAST, values | span).to_arrow_table()
            connection.register("rows", rows)
            for table, query in (("silver_identifiers", IDENTIFIERS), ("silver_events", "from rows")):
                made = connection.execute(query).to_arrow_table()
                columns = {c.name: c for c in lake_table(table).contract.columns}
                schema = arrow_schema(lake_table(table).contract)
                full = [
                    made[n] if n in made.column_names else pa.nulls(made.num_rows, schema.field(n).type)
                    for n in columns
                ]
                delta.append(settings, table, pa.table(dict(zip(columns, full, strict=True))))


def _sightings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    plain = dict.fromkeys(lake_table("silver_identifiers").contract.column_names)
    shared = ("source", "event_id", "is_simulated", "effective_at", "received_at")
    names = [name for name in shared if name in plain]
    return [
        plain | {name: row[name] for name in names} | {"identifier_type": "user_id", "identifier_value": row["user_id"]}
        for row in rows
    ]
