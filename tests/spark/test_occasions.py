"""The query of occasions on Spark finds what it finds on DuckDB; one query for the triggers that are shipped."""

import json
import random
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from pyspark.sql import SparkSession

from jobs.core.settings import PROJECT_ROOT
from jobs.segments.compile.occasions import occasions
from jobs.segments.compile.portable import Engine
from jobs.segments.language.catalogue import load as load_catalogue
from jobs.segments.language.triggers import Trigger
from jobs.segments.triggers.files import load as load_book

START = datetime(2020, 3, 28, 12)
NAMES = ("Product Viewed", "Product Added", "Order Completed", "Page Left", "Products Searched")
SAME = {
    "name": "same_product",
    "description": "Used by the tests of triggers.",
    "occasion": {
        "event": "Product Viewed", "not_followed_by": {"event": "Product Added"}, "within": "2 hours", "same": "product_id"
    },
}  # fmt: skip


def events(count: int) -> pa.Table:
    pick = random.Random(4)
    rows = []
    for number in range(count):
        at = START + timedelta(minutes=pick.randrange(0, 4000))
        properties = {"product_id": pick.choice(["a", "b", 7]), "dwell_seconds": pick.choice([60, "180", 500.5, None])}
        rows.append({"profile_id": pick.choice("pqrst"), "event_key": f"e{number}", "name": pick.choice(NAMES),
                     "effective_at": at, "received_at": at + timedelta(minutes=pick.choice([0, 0, 1, 90, 600])),
                     "receive_position": number, "properties": json.dumps(properties)})  # fmt: skip
    times = [("effective_at", pa.timestamp("us")), ("received_at", pa.timestamp("us"))]
    texts = [(name, pa.string()) for name in ("profile_id", "event_key", "name")]
    return pa.Table.from_pylist(
        rows, pa.schema([*texts, *times, ("receive_position", pa.int64()), ("properties", pa.string())])
    )


def test_both_engines_find_the_same_occasions(session: SparkSession) -> None:
    book = load_book(PROJECT_ROOT, load_catalogue(PROJECT_ROOT))
    program = occasions({**book.watched(), "same_product": Trigger.model_validate(SAME)})
    assert program is not None
    now = START + timedelta(minutes=3000)
    moments = {"since": now - timedelta(hours=20), "as_of": now}
    asked = {name: pa.array([moment] * 5, pa.timestamp("us")) for name, moment in moments.items()}
    open_keys = {"trigger_name": ["cart_abandonment"] * 40, "event_key": [f"e{number}" for number in range(40)]}
    relations: dict[str, Any] = {
        "eval_events": events(400),
        "asked_occasions": pa.table({"profile_id": list("pqrst"), **asked}),
        "fresh": pa.table({"event_key": [f"e{number}" for number in range(0, 400, 7)]}),
        "open_messages": pa.table(open_keys),
    }  # fmt: skip
    local = duckdb.connect()
    local.execute("set TimeZone = 'UTC'")
    for name, table in relations.items():
        local.register(name, table)
        session.createDataFrame(table).createOrReplaceTempView(name)
    wanted = local.execute(program.query()).to_arrow_table()
    columns = wanted.column_names
    found = session.sql(program.query(Engine.SPARK)).select(*columns).toArrow().cast(wanted.schema)
    order = [(name, "ascending") for name in ("trigger_name", "event_key")]
    assert found.sort_by(order).to_pylist() == wanted.sort_by(order).to_pylist()
    told = wanted.to_pylist()
    assert {name for row in told for name in ("is_new", "is_pending", "is_open") if row[name]} == {
        "is_new",
        "is_pending",
        "is_open",
    }
    assert len(told) > 40
    assert {row["trigger_name"] for row in told if row["is_new"]} >= {"cart_abandonment", "long_dwell", "same_product"}
