"""What a message's name alone says of consent."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.ingest.stream.consents import statements
from jobs.ingest.stream.envelope import parse_time

pytestmark = pytest.mark.spark
SCHEMA = (
    "name string, preferences map<string,string>, gpc boolean, key_kind string, "
    "identifiers array<struct<identifier_type:string,identifier_value:string>>"
)
EMAIL, BROWSER = ("email", "e-1"), ("anonymous_id", "a-1")


def stated(
    session: SparkSession, name: str, preferences: dict[str, str] | None, key_kind: str | None = None
) -> set[str]:
    frame = session.createDataFrame([(name, preferences, False, key_kind, [EMAIL])], SCHEMA)
    found = frame.select(F.inline(statements())).toArrow().to_pylist()
    return {f"{row['purpose']} {row['status']}" for row in found}


@pytest.mark.parametrize("name", ["Unsubscribed", "Email Unsubscribed", "Email Marked as Spam"])
def test_an_unsubscribe_denies_marketing_by_its_name(session: SparkSession, name: str) -> None:
    assert stated(session, name, None) == {"marketing denied"}
    assert stated(session, name, None, "browser") == {"marketing denied"}
    # What it grants in the same breath counts for nothing: it is no statement of consent.
    assert stated(session, name, {"Advertising": "true"}) == {"marketing denied"}


def test_other_events_say_nothing_without_a_consent_object(session: SparkSession) -> None:
    assert stated(session, "Product Viewed", None) == set()


def test_every_identifier_gets_every_statement_but_a_browser_grants_for_itself_alone(session: SparkSession) -> None:
    said = {"Advertising": "true", "Analytics": "false"}
    rows = [("identify", said, is_private, "browser", [EMAIL, BROWSER]) for is_private in (False, True)]
    frame = session.createDataFrame(rows, SCHEMA).select("gpc", F.inline(statements()))
    found = {tuple(row.values()) for row in frame.drop("identifier_value").toArrow().to_pylist()}
    denials = {
        (is_private, kind, "analytics", "denied") for is_private in (False, True) for kind, _ in (EMAIL, BROWSER)
    }
    by_signal = {(True, kind, "sharing", "denied") for kind, _ in (EMAIL, BROWSER)}
    grants = {(is_private, "anonymous_id", "marketing", "granted") for is_private in (False, True)}
    assert found == denials | by_signal | grants


def test_times_stay_within_the_years_that_every_engine_holds(session: SparkSession) -> None:
    texts = ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00"]
    frame = session.createDataFrame([(text,) for text in texts], "said string")
    found = frame.select(parse_time(F.col("said")).isNotNull().alias("kept")).toArrow().to_pylist()
    assert [row["kept"] for row in found] == [True, False, True, False]
