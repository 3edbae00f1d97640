"""Both judges of a message's text say the same: the door's in Python, and the stream's for what passed no door."""

import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.ingest.landing.text_check import text_error as by_door
from jobs.ingest.stream.strict import text_error as by_stream

sys.path.append(str(Path(__file__).parents[1] / "unit" / "ingest"))
from nasty_texts import NASTY

pytestmark = pytest.mark.spark


def test_the_stream_says_what_the_door_says(session: SparkSession) -> None:
    texts = [(name, text) for name, (text, _) in NASTY.items()]
    frame = session.createDataFrame(texts, "name string, payload string").withColumn(
        "found", by_stream(F.col("payload"), F.lit(None).cast("string"), F.lit(False))
    )
    found = {row["name"]: row["found"] for row in frame.toArrow().to_pylist()}
    assert found == {name: expected for name, (_, expected) in NASTY.items()}
    assert {name: by_door(text) for name, text in texts if name != "bytes that are no text"} == {
        name: code for name, code in found.items() if name != "bytes that are no text"
    }


def test_what_the_door_has_judged_is_not_judged_again(session: SparkSession) -> None:
    frame = session.createDataFrame([("{NaN", None), ("{}", "too_long")], "payload string, before string")
    judged = frame.select(by_stream(F.col("payload"), F.col("before"), F.lit(True)).alias("found"))
    assert [row["found"] for row in judged.toArrow().to_pylist()] == [None, "too_long"]
