"""What a message's name alone says of consent."""

import pytest
from pyspark.sql import SparkSession

from jobs.ingest.stream.consents import to_consents

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
