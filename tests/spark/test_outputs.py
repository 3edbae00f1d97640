"""The two ways to place judged rows, by Spark and in memory, on random rows of every kind: the same tables, row for row."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.core.settings import Settings
from jobs.ingest.stream.dedupe import CONFLICT, DUPLICATE
from jobs.ingest.stream.local_outputs import LocalJudged
from jobs.ingest.stream.outputs import EVENT_COLUMNS, SparkJudged
from jobs.ingest.stream.small_batch import SMALL_CHARACTERS, characters, is_small
from jobs.lake.frames import to_arrow

pytestmark = pytest.mark.spark
SEED = 20260402
TEXT, INSTANT = pa.string(), pa.timestamp("us", tz="UTC")


def entries(*fields: str) -> pa.DataType:
    return pa.list_(pa.struct([(name, TEXT) for name in fields]))


IDENTIFIERS = entries("identifier_type", "identifier_value")
STATEMENTS = entries("identifier_type", "identifier_value", "purpose", "status")
TYPES = {
    "is_simulated": pa.bool_(), "is_time_suspect": pa.bool_(), "is_suppressed": pa.bool_(),
    "receive_position": pa.int64(), "contract_version": pa.int64(), "key_hash": pa.int64(),
    "received_at": INSTANT, "occurred_at": INSTANT, "effective_at": INSTANT, "valid_from": INSTANT,
    "landed_date": pa.date32(), "event_date": pa.date32(), "errors": pa.list_(TEXT), "flags": pa.list_(TEXT),
    "identifiers": IDENTIFIERS, "statements": STATEMENTS, "vaulted": entries("token", "value"),
}  # fmt: skip
SCHEMA = pa.schema([(name, TYPES.get(name, TEXT)) for name in (*EVENT_COLUMNS, "verdict")])
OF_RECORDS = {"record_id": TEXT, "object": TEXT, "record_key": TEXT, "valid_from": INSTANT}
OF_EVENTS = ("occurred_at", "user_id", "anonymous_id", "loyalty_id", "context", "consent", "flags", "is_time_suspect")
RECORDS = pa.schema([*[SCHEMA.field(name) for name in SCHEMA.names if name not in OF_EVENTS], *OF_RECORDS.items()])


def rows(draw: random.Random, count: int) -> list[dict[str, Any]]:
    """Judged messages: some wrong in one or two ways, some behind another, some suppressed; ids and days are few."""
    return [row(draw, place) for place in draw.sample(range(10 * count), count)]


def row(draw: random.Random, place: int) -> dict[str, Any]:
    named = [(kind, f"{kind[0]}{draw.randrange(5)}") for kind in ("user_id", "email") if draw.random() < 0.7]
    stated = [draw.choice(("marketing", "analytics")), draw.choice(("granted", "denied"))]
    at = datetime(2017, 5, 1, 23, 58, tzinfo=UTC) + timedelta(seconds=draw.randrange(240))
    faults = draw.sample(("wrong_type:price", "wrong_type:size", "undeclared_pii:body"), draw.choice((0, 0, 0, 1, 2)))
    return {
        "message_id": f"m{place}", "source": draw.choice(("web", "pos")), "event_id": f"e{place % 50}",
        "receive_position": place, "received_at": at, "effective_at": at, "event_date": at.date(),
        "landed_date": date(2017, 5, 2), "errors": faults, "payload": "{}" if faults else None,
        "verdict": draw.choice((None, None, None, DUPLICATE, CONFLICT)), "is_suppressed": draw.random() < 0.2,
        "is_simulated": draw.random() < 0.5, "flags": draw.choice(([], ["gpc"])), "name": "page",
        "identifiers": [dict(zip(("identifier_type", "identifier_value"), pair, strict=True)) for pair in named],
        "statements": draw.choice((None, [
            {"identifier_type": kind, "identifier_value": value, "purpose": stated[0], "status": stated[1]}
            for kind, value in named
        ])),
        "vaulted": draw.choice((None, None, [{"token": f"t{place % 7}", "value": f"v{place % 7}"}])),
        "record_id": f"e{place % 50}", "object": "person", "record_key": f"k{place}", "valid_from": at,
    }  # fmt: skip


def content(tables: dict[str, pa.Table]) -> dict[str, list[str]]:
    return {name: sorted(map(repr, table.to_pylist())) for name, table in tables.items() if table.num_rows}


@pytest.mark.parametrize("kinds", [("events", "records"), ("events",), ("records",)])
def test_spark_and_memory_place_alike(session: SparkSession, kinds: tuple[str, ...]) -> None:
    draw = random.Random(SEED)
    events = pa.Table.from_pylist(rows(draw, 300), SCHEMA) if "events" in kinds else None
    records = pa.Table.from_pylist(rows(draw, 200), RECORDS) if "records" in kinds else None
    local = LocalJudged(events, records)
    frames = [None if table is None else session.createDataFrame(table) for table in (events, records)]
    spark = SparkJudged(frames[0], frames[1])
    placed = {name: to_arrow(found, name) for name, found in spark.tables("b:1").items()}
    in_memory = local.tables("b:1")
    assert content(in_memory) == content(placed)
    assert {name: table.schema for name, table in in_memory.items()} == {
        name: placed[name].schema for name in in_memory
    }
    assert sorted(local.vaulted()) == sorted(spark.vaulted())
    whole = {"quarantine_messages", "ops_dropped_messages", "silver_identifiers", "consents"}
    assert set(in_memory) == whole | {f"silver_{kind}" for kind in kinds}


def test_text_that_is_noted_beside_a_message_counts(session: SparkSession, settings: Settings) -> None:
    """A door notes the whole context of a batch with each of its messages."""
    rows = [("ab", "x" * 100), (None, "y" * 10), ("c", None)]
    text = (
        session.createDataFrame(rows, "payload string, receipt string").agg(characters()).toArrow().column(0)[0].as_py()
    )
    assert text == 113
    assert is_small(settings, settings.small_batch_rows, SMALL_CHARACTERS)
    assert not is_small(settings, settings.small_batch_rows + 1, 0)
    assert not is_small(settings, 1, SMALL_CHARACTERS + 1)


def test_every_message_is_in_one_place() -> None:
    draw = random.Random(SEED + 1)
    events = pa.Table.from_pylist(rows(draw, 500), SCHEMA)
    tables = LocalJudged(events, None).tables("b:1")
    places = ("silver_events", "quarantine_messages", "ops_dropped_messages")
    placed = [message for name in places for message in tables[name]["message_id"].to_pylist()]
    assert sorted(placed) == sorted(events["message_id"].to_pylist())
    assert not LocalJudged(events.slice(0, 0), None).tables("b:1")
