"""The two ways to a verdict, by Spark and in memory, on random messages of few events: equal, and independent of batches."""

import random
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.ingest.stream import dedupe
from jobs.ingest.stream.local_verdicts import HELD, local_verdicts

pytestmark = pytest.mark.spark
SEED = 20260401
COLUMNS = [(name, pa.string()) for name in ("message_id", "source", "event_id", "body_hash")]
SCHEMA = pa.schema([*COLUMNS, ("receive_position", pa.int64()), ("is_suppressed", pa.bool_())])


def messages(draw: random.Random, count: int) -> list[dict[str, Any]]:
    places = draw.sample(range(10 * count), count)
    return [
        {
            "message_id": f"m{draw.randrange(10**6):06d}-{place}",
            "source": draw.choice(("web", "pos")),
            "event_id": f"e{draw.randrange(count // 3)}",
            "body_hash": draw.choice("ab"),
            "receive_position": place,
            "is_suppressed": draw.random() < 0.3,
        }
        for place in places
    ]


def told(table: pa.Table) -> dict[str, str]:
    return dict(zip(*table.select(["message_id", "verdict"]).to_pydict().values(), strict=True))


def test_spark_and_memory_agree(session: SparkSession) -> None:
    draw = random.Random(SEED)
    rows = messages(draw, 400)
    # Some of the batch is in silver already, cut off before the rest; and older messages of the same events.
    half = [row for row in rows if draw.random() < 0.2 and not row["is_suppressed"]]
    held = [row | {"message_id": f"old-{n}"} for n, row in enumerate(draw.sample(rows, 40))] + half
    candidates, known = pa.Table.from_pylist(rows, SCHEMA), pa.Table.from_pylist(held, SCHEMA)
    by_spark = dedupe.verdicts(session.createDataFrame(candidates), session.createDataFrame(known)).toArrow()
    in_memory = told(local_verdicts(candidates, known.select(HELD)))
    assert told(by_spark) == in_memory
    assert set(in_memory.values()) == {"duplicate", "conflict"}
    assert 0 < len(in_memory) < len(rows)


def accepted(batches: list[list[dict[str, Any]]]) -> tuple[dict[str, str], set[str]]:
    """(verdicts, messages that silver gets) of batches one after the other."""
    silver: list[dict[str, Any]] = []
    verdicts: dict[str, str] = {}
    for batch in batches:
        found = told(
            local_verdicts(pa.Table.from_pylist(batch, SCHEMA), pa.Table.from_pylist(silver, SCHEMA).select(HELD))
        )
        verdicts |= found
        silver += [row for row in batch if row["message_id"] not in found and not row["is_suppressed"]]
    return verdicts, {row["message_id"] for row in silver}


def test_a_message_that_is_there_twice_is_not_its_own_repeat() -> None:
    (row,) = messages(random.Random(SEED), 3)[:1]
    twice = pa.Table.from_pylist([row, row], SCHEMA)
    assert not len(local_verdicts(twice, twice.slice(0, 0).select(HELD)))


def test_where_a_batch_ends_makes_no_difference() -> None:
    draw = random.Random(SEED)
    rows = sorted(messages(draw, 300), key=lambda row: row["receive_position"])
    cuts = sorted(draw.sample(range(1, 300), 7))
    pieces = [rows[low:high] for low, high in zip([0, *cuts], [*cuts, 300], strict=True)]
    assert accepted([rows]) == accepted(pieces)
