"""Rows of partners' exports: what a spreadsheet did to them has a reason, what a dialect says is read, consent is closed."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from expectations.contracts import FieldContract, SourceContract
from expectations.contracts.model import ConsentValues
from jobs.ingest.stream.records import judge_records
from jobs.privacy.keys import TokenKey

pytestmark = pytest.mark.spark
KEY = TokenKey(1, b"k" * 32, b"s" * 32)
Judge = Callable[..., list[dict[str, object]]]
CONTACTS = SourceContract(
    name="contacts", kind="records", format="csv", description="Contacts.", object="person", key=("contact_id",),
    decimal=",", date_format="dd.MM.yyyy", key_case="insensitive",
    identifiers={"email": "email"}, consents={"marketing": "newsletter"},
    consent_values=ConsentValues(granted=("ja", "y", "1")),
    columns={
        "contact_id": FieldContract(required=True), "email": FieldContract.model_validate({"pii": "email"}),
        "card": FieldContract(), "since": FieldContract(type="date"),
        "balance": FieldContract(type="number", min=-100), "newsletter": FieldContract(),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def judge(session: SparkSession) -> Judge:
    """Judged rows for cells given by name; `consents` gives the statements instead."""

    def judged(
        *rows: dict[str, str | None], consents: bool = False, source: SourceContract = CONTACTS
    ) -> list[dict[str, object]]:
        now = datetime(2018, 1, 2, tzinfo=UTC)
        whole = [{"contact_id": str(n), "email": None, "card": None} | row for n, row in enumerate(rows)]
        bronze = [("contacts", f"m{n}", n, now, json.dumps(row), None, True) for n, row in enumerate(whole)]
        columns = (
            "source string, message_id string, receive_position long, received_at timestamp, payload string, "
            "payload_error string, is_checked boolean"
        )
        frame = judge_records(session.createDataFrame(bronze, columns), [source], KEY)
        frame = frame.select("receive_position", F.inline("statements")) if consents else frame
        found: list[dict[str, object]] = frame.orderBy("receive_position").toArrow().to_pylist()
        return found

    return judged


def test_what_a_spreadsheet_damaged_has_a_reason(judge: Judge) -> None:
    rows = judge(
        {"card": "1,23457E+11"}, {"card": "4.5E+15"}, {"card": "0012"}, {"since": "31.12.2017"}, {"since": "43100"},
        {"since": "30.02.2017"}, {"since": "01/02/03"}, {"balance": "12,50"}, {"balance": "-100,01"}, {"balance": "1.5.0"},
        {"contact_id": "7\t"}, {"card": "say ann@example.com"},
    )  # fmt: skip
    assert [row["errors"] for row in rows] == [
        ["excel_damage:card"], ["excel_damage:card"], [], [], ["bad_timestamp:since"],
        ["bad_timestamp:since"], ["bad_timestamp:since"], [], ["out_of_range:balance"], ["wrong_type:balance"],
        ["pattern_mismatch:contact_id"], ["undeclared_pii:card"],
    ]  # fmt: skip


def test_dialects_become_one_text(judge: Judge) -> None:
    (row,) = judge({"contact_id": " Ab-7 ", "since": "31.12.2017", "balance": "12,50", "card": "0012"})
    assert row["record_key"] == "ab-7"
    properties = json.loads(str(row["properties"]))
    assert (properties["since"], properties["balance"], properties["card"]) == ("2017-12-31", "12.50", "0012")


def test_a_key_that_points_at_a_person_is_no_address(judge: Judge) -> None:
    list_of_addresses = CONTACTS.model_copy(update={"key": ("email",)})
    rows = judge(
        {"email": "Ann@Example.com "}, {"email": "ann@example.com"}, {"email": "b@c.de"}, source=list_of_addresses
    )
    keys = [row["record_key"] for row in rows]
    assert keys[0] == keys[1] != keys[2]
    assert all(re.fullmatch("[0-9a-f]{32}", str(key)) for key in keys)


def test_only_declared_words_grant(judge: Judge) -> None:
    words = ["ja", " JA ", "y", "1", "TRUE", "yes", "n/a", "granted?", "", None]
    rows = judge(*[{"email": f"n{n}@example.com", "newsletter": word} for n, word in enumerate(words)], consents=True)
    assert [row["status"] for row in rows] == ["granted"] * 4 + ["denied"] * 4
