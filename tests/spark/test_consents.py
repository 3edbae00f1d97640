"""What a message's name alone says of consent."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.ingest.stream.consents import may_state, to_consents
from jobs.ingest.stream.envelope import parse_time

pytestmark = pytest.mark.spark
SCHEMA = "name string, preferences map<string,string>, gpc boolean, key_kind string, identifier_type string"


def stated(
    session: SparkSession, name: str, preferences: dict[str, str] | None, key_kind: str | None = None
) -> set[str]:
    frame = session.createDataFrame([(name, preferences, False, key_kind, "email")], SCHEMA)
    found = to_consents(frame).select("purpose", "status").toArrow().to_pylist()
    return {f"{row['purpose']} {row['status']}" for row in found}


@pytest.mark.parametrize("name", ["Unsubscribed", "Email Unsubscribed", "Email Marked as Spam"])
def test_an_unsubscribe_denies_marketing_by_its_name(session: SparkSession, name: str) -> None:
    assert stated(session, name, None) == {"marketing denied"}
    assert stated(session, name, None, "browser") == {"marketing denied"}
    # What it grants in the same breath counts for nothing: it is no statement of consent.
    assert stated(session, name, {"Advertising": "true"}) == {"marketing denied"}


def test_other_events_say_nothing_without_a_consent_object(session: SparkSession) -> None:
    assert stated(session, "Product Viewed", None) == set()


def test_a_lone_unsubscribe_is_no_batch_without_consents(session: SparkSession) -> None:
    """Tables that a batch has no row for are left out by a count; what counts must be what makes the rows."""
    said = [("Unsubscribed", None, False), ("Product Viewed", None, False), (None, None, False), ("page", None, True)]
    frame = session.createDataFrame(said, "name string, preferences map<string,string>, gpc boolean")
    assert [row["says"] for row in frame.select(may_state().alias("says")).toArrow().to_pylist()] == [
        True, False, False, True
    ]  # fmt: skip


def test_times_stay_within_the_years_that_every_engine_holds(session: SparkSession) -> None:
    texts = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00"]
    frame = session.createDataFrame([(text,) for text in texts], "said string")
    found = frame.select(parse_time(F.col("said")).isNotNull().alias("kept")).toArrow().to_pylist()
    assert [row["kept"] for row in found] == [True, False, True, False]
