"""The exported JSON Schemas: valid themselves, and of one mind with the stream about good and bad messages."""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from expectations import contracts
from expectations.contracts import FieldContract, SourceContract, json_schema
from jobs.core.settings import PROJECT_ROOT
from jobs.ingest.stream import envelope, validate

sys.path.insert(0, str(PROJECT_ROOT / "tests" / "spark"))
import delivery

SCHEMAS = {
    f"source {name}": json_schema.source_schema(s, contracts.events()) for name, s in contracts.sources().items()
}
SCHEMAS |= {f"event {name}": json_schema.event_schema(event) for name, event in contracts.events().items()}
# The schema asks for booleans; the stream takes the word for a denial.
STRICTER = {("sim_web", 13)}
# What another message with the same id makes of it is no matter of a schema.
CONFLICTS = {("web", 8)}


def validator(source: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[f"source {source}"])


def delivered() -> Iterator[tuple[str, int, Any]]:
    """(source, line, message) of the delivery that the Spark lane judges, as far as it is JSON."""
    files = {"pos": delivery.POS, "sim_web": delivery.WEB, "web": delivery.ALIASES, "sim_email": delivery.EMAIL}
    for source, messages in files.items():
        for line, message in enumerate(messages, start=1):
            try:
                yield source, line, json.loads(message) if isinstance(message, str) else message
            except ValueError:
                assert (source, line) in delivery.QUARANTINED
    for source, text in (
        ("catalog", delivery.CATALOG),
        ("sim_crm_people", delivery.PEOPLE),
        ("crm_coupons", delivery.COUPONS),
    ):
        header, *rows = list(csv.reader(io.StringIO(text)))
        for line, row in enumerate(rows, start=2):
            yield source, line, dict(zip(header, row, strict=False))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert json.loads(json.dumps(SCHEMAS[name])) == SCHEMAS[name]


@pytest.mark.parametrize(("source", "line", "message"), delivered(), ids=lambda v: str(v)[:20])
def test_schema_and_stream_agree_on_the_delivery(source: str, line: int, message: Any) -> None:
    expected = (source, line) not in delivery.QUARANTINED.keys() - CONFLICTS | STRICTER
    assert validator(source).is_valid(message) == expected


def test_the_delivery_has_both_kinds() -> None:
    places = [(source, line) for source, line, _ in delivered()]
    assert sum(place in delivery.QUARANTINED for place in places) >= 12
    assert sum(place not in delivery.QUARANTINED for place in places) >= 12


def test_what_the_schemas_repeat_is_what_the_stream_says() -> None:
    assert json_schema.ADDRESS == validate.EMAIL_LIKE
    assert json_schema.TIMESTAMP == envelope.TIMESTAMP
    assert re.match(validate.INTEGER, str(json_schema.LARGEST_INTEGER))
    assert not re.match(validate.INTEGER, str(json_schema.LARGEST_INTEGER + 1))


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"required": True}, ["", "a"], [None, 1, []]),
        ({}, ["a", None], [1]),
        ({"max_length": 2, "pattern": "^a"}, ["ab", None], ["abc", "ba"]),
        ({"allowed": ["a", "b"]}, ["a", None], ["c"]),
        ({"allowed": ["a"], "required": True}, ["a"], [None, "b"]),
        ({"type": "integer", "allowed": ["1", "2"]}, [1, None], [3, "1"]),
        ({"type": "integer", "min": 0}, [0, 10**14], [-1, 1.5, 10**16, "12", True]),
        ({"type": "number", "max": 2}, [2, -1.5, None], [2.1, "1"]),
        ({"type": "boolean"}, [True, None], ["true", 1]),
        ({"type": "timestamp"}, ["2017-05-01T10:00:00Z", "2017-05-01 10:00", None], ["yesterday", "2017", 1493632800]),
        ({"type": "date"}, ["2017-05-01", None], ["01.05.2017", "2017-05-01T10:00:00Z"]),
        ({"type": "object"}, [{}, {"a": 1}, None], ["{}", []]),
        (
            {"type": "array", "items": {"a": {"required": True}}},
            [[], [{"a": "1"}], None],
            [[{}], ["a"], {}, [{"a": None}]],
        ),
    ],
)
def test_each_rule_of_a_field_becomes_a_rule_of_the_schema(
    rules: dict[str, Any], good: list[Any], bad: list[Any]
) -> None:
    judge = Draft202012Validator(json_schema.field_schema(FieldContract.model_validate(rules)))
    assert [value for value in good if not judge.is_valid(value)] == []
    assert [value for value in bad if judge.is_valid(value)] == []


def records(**changes: Any) -> SourceContract:
    columns = {"id": {}, "price": {"type": "number", "min": 0}, "born": {"type": "date"}, "ok": {"allowed": ["y", "n"]},
               "mail": {"pii": "email"}, "code": {"pattern": "^[A-Z]+$"}, "n": {"type": "integer", "required": True}}  # fmt: skip
    base = {"name": "crm", "kind": "records", "format": "csv", "description": "D.", "object": "o", "key": ["id"],
            "columns": columns, "identifiers": {"email": "mail"}, "consents": {"marketing": "ok"},
            "consent_values": {"granted": ["y"]}}  # fmt: skip
    return SourceContract.model_validate(base | changes)


def test_a_csv_row_is_judged_as_text_or_parsed() -> None:
    source = records(delimiter=";", decimal=",", date_format="dd.MM.yyyy")
    judge = Draft202012Validator(json_schema.source_schema(source, {}))
    row = {"id": "1", "price": "1,50", "born": "01.05.2017", "ok": "y", "mail": "", "code": "", "n": "3"}
    assert judge.is_valid(row)
    assert judge.is_valid(row | {"price": 1.5, "n": 3, "mail": None})
    for change in (
        {"id": ""},
        {"price": "1.50"},
        {"born": "2017-05-01"},
        {"ok": "maybe"},
        {"code": "a"},
        {"n": ""},
        {"more": ""},
    ):
        assert not judge.is_valid(row | change), change
    assert not judge.is_valid(row | {"price": -1})
    assert not judge.is_valid({name: cell for name, cell in row.items() if name != "code"}), "a column is missing"


def test_the_remarks_for_people_are_there() -> None:
    schema = json_schema.source_schema(records(delimiter=";", key_case="insensitive"), {})
    assert schema["properties"]["mail"]["x-pii"] == "email"
    assert schema["properties"]["mail"]["x-identifier"] == "email"
    assert schema["properties"]["ok"]["x-consent"] == "marketing"
    assert schema["x-consent-granted"] == ["y"]
    assert (schema["x-key"], schema["x-key-case"], schema["x-object"]) == (["id"], "insensitive", "o")
    assert schema["x-file"]["delimiter"] == ";"
    flagged = json_schema.field_schema(FieldContract.model_validate({"type": "number", "outlier": {"threshold": 4}}))
    assert flagged["x-outlier"] == {"threshold": 4.0, "window_days": 30, "min_count": 100}
    assert '"12" for 12' in schema["description"]


def test_a_parquet_row_needs_only_what_is_required() -> None:
    judge = Draft202012Validator(json_schema.source_schema(records(format="parquet"), {}))
    assert judge.is_valid({"id": "1", "n": 3, "surprise": [1]})
    assert not judge.is_valid({"id": "1", "n": "3"})


PAGE: dict[str, Any] = {"messageId": "1", "type": "page", "timestamp": delivery.AT, "properties": {"path": "/"}}
LOGIN: dict[str, Any] = {"messageId": "1", "type": "identify", "timestamp": delivery.AT}


@pytest.mark.parametrize(
    "change",
    [
        {"userId": "u1"},
        {"anonymousId": "a1"},
        {"loyaltyId": "7"},
        {"context": {"traits": {"email": "a@example.com"}}},
        {"properties": {"path": "/", "loyalty_id": "7"}},
    ],
)
def test_any_identifier_will_do_and_one_is_needed(change: dict[str, Any]) -> None:
    judge = Draft202012Validator(SCHEMAS["event page"])
    assert judge.is_valid(PAGE | change)
    blank = json.loads(json.dumps(PAGE | change).replace('"u1"', '" "').replace('"a1"', '""').replace('"7"', "null"))
    assert not judge.is_valid(json.loads(json.dumps(blank).replace("a@example.com", "")))
    assert not judge.is_valid(PAGE)


def test_traits_of_a_login_identify() -> None:
    judge = Draft202012Validator(SCHEMAS["event identify"])
    assert judge.is_valid(LOGIN | {"traits": {"email": "a@example.com"}})
    assert not judge.is_valid(LOGIN | {"traits": {"first_name": "Ann"}})


def test_an_address_has_no_place_outside_declared_fields() -> None:
    judge = Draft202012Validator(SCHEMAS["event page"])
    known = PAGE | {"userId": "ann@example.com"}
    assert judge.is_valid(known), "as account id it becomes a token"
    for hidden in ("a@example.com", ["a@example.com"], {"deep": {"er": "x a%40example.com y"}}, {"a@example.com": 1}):
        assert not judge.is_valid(known | {"properties": {"path": "/", "more": hidden}}), hidden
        assert not judge.is_valid(known | {"context": {"page": {"url": hidden}}}), hidden
    assert not judge.is_valid(known | {"loyaltyId": "a@example.com"})
    traits = {"email": "a@example.com", "more": "b@example.com"}
    assert Draft202012Validator(SCHEMAS["event identify"]).is_valid(LOGIN | {"traits": traits}), "the rest is not kept"


def test_a_source_with_a_mapping_says_what_is_read() -> None:
    mapping = {"event_id": "$.id", "name": "Email Opened", "timestamp": "$.at", "identifiers": {"email": "$.email"}}
    base = {"name": "app", "kind": "events", "format": "ndjson", "description": "D.", "events": ["Email Opened"]}
    schema = json_schema.source_schema(SourceContract.model_validate(base | {"mapping": mapping}), contracts.events())
    assert schema["x-events"] == ["Email Opened"]
    assert schema["x-mapping"]["identifiers"] == {"email": ["$.email"]}
    assert json_schema.ACCEPTED not in schema["description"]
    assert Draft202012Validator(schema).is_valid({"id": 1, "at": 2})


def test_a_source_that_may_send_nothing_is_refused_everything() -> None:
    source = SourceContract.model_validate({"name": "app", "kind": "events", "format": "ndjson", "description": "D."})
    assert not Draft202012Validator(json_schema.source_schema(source, {})).is_valid(PAGE | {"userId": "u1"})


def test_unknown_events_follow_the_policy_of_the_source() -> None:
    base = {"name": "app", "kind": "events", "format": "ndjson", "description": "D.", "events": ["Product Removed"]}
    message = {"messageId": "1", "type": "track", "event": "Else", "timestamp": delivery.AT, "anonymousId": "a"}
    for policy, expected in (("quarantine", False), ("accept", True)):
        source = SourceContract.model_validate(base | {"unknown_events": policy})
        judge = Draft202012Validator(json_schema.source_schema(source, contracts.events()))
        assert judge.is_valid(message) == expected
        assert not judge.is_valid(message | {"event": "Product Removed"}), "a listed event is judged by its contract"
