"""Mapped messages through the real judgement: names, times, tokens, consents; what a mapping does not know; rows of files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from vendor_examples import ANN, DENIED, EXAMPLES, Example

from expectations import contracts
from expectations.contracts import SourceContract
from jobs.ingest.stream import events
from jobs.ingest.stream.mapping import with_message
from jobs.privacy.keys import TokenKey
from jobs.privacy.tokens import token

pytestmark = pytest.mark.spark
KEY = TokenKey(1, b"k" * 32, b"s" * 32)
RECEIVED = datetime(2017, 5, 1, 10, 1, tzinfo=UTC)
SCHEMA = (
    "source string, message_id string, payload string, payload_error string, endpoint string, receipt string, "
    "received_at timestamp, receive_position long, is_checked boolean"
)


TILL: dict[str, Any] = {
    "name": "till", "kind": "events", "format": "csv", "decimal": ",", "description": "D.",
    "events": ["Order Completed", "identify"],
    "columns": {name: {} for name in ("receipt", "what", "at", "card", "mail", "upc", "pieces", "amount", "opt in")},
    "mapping": {
        "event_id": {"path": "$.receipt", "hash_of": ["$.card", "$.at"]},
        "type": {"of": "$.what", "values": {"SALE": "track", "CARD": "identify"}},
        "name": "Order Completed",
        "timestamp": "$.at",
        "identifiers": {"loyalty_id": "$.card", "email": "$.mail"},
        "properties": {
            "order_id": ["$.receipt", "$.at"],
            "total": {"path": "$.amount", "type": "number"},
            "currency": {"constant": "EUR"},
            "products": {
                "items": {
                    "product_id": "$.upc",
                    "quantity": {"path": "$.pieces", "type": "number"},
                    "sales_value": {"path": "$.amount", "type": "number"},
                },
            },
        },
        "consents": {"marketing": {"of": "$['opt in']", "granted": ["ja"]}},
    },
}  # fmt: skip
SALE = {
    "receipt": "r-1", "what": "SALE", "at": "2017-05-01T10:00:00", "card": "7", "mail": None, "upc": "0012",
    "pieces": "2", "amount": "3,50", "opt in": None,
}  # fmt: skip
SALES = [
    SALE,
    SALE | {"receipt": None, "amount": "-1", "opt in": "nein"},
    SALE | {"receipt": "r-3", "amount": "much", "pieces": "two"},
    SALE | {"receipt": "r-4", "what": "CARD", "mail": ANN, "opt in": "JA"},
    SALE | {"receipt": "r-5", "what": "VOID"},
]
SHOP: dict[str, Any] = {
    "name": "shop", "kind": "events", "format": "ndjson", "description": "D.", "events": ["Order Completed"],
    "mapping": {
        "event_id": "$.order.id",
        "name": "Order Completed",
        "timestamp": {"path": "$.order.at", "format": "epoch_ms"},
        "identifiers": {"user_id": ["$.order.buyer.id", "$.order.buyer.no"]},
        "properties": {
            "order_id": "$.order.id",
            "products": {
                "path": "$.order['the lines']",
                "items": {
                    "product_id": "$.sku.code",
                    "quantity": {"path": "$.n", "type": "number"},
                    "sales_value": {"path": ["$.net", "$.gross"], "type": "number"},
                },
            },
            "paid": {"path": "$.order.paid", "type": "boolean"},
            "extra": {"path": "$.order.extra", "type": "object"},
        },
        "consents": {
            "profiling": {"of": "$.order.profiling", "granted": ["true"], "denied": ["false"]},
            "sharing": {"of": "$.order.sharing", "denied": ["no"]},
        },
    },
}  # fmt: skip
LINES = [{"sku": {"code": "a"}, "n": 1, "net": 2.5}, {"sku": {"code": "b"}, "n": 2.0, "gross": "7.10"}]
ORDER = {
    "id": 17, "at": 1.4936328e12, "buyer": {"id": " ", "no": 12}, "the lines": LINES, "paid": True, "extra": {"a": [1]},
    "profiling": False, "sharing": "NO",
}  # fmt: skip
ORDERS: list[dict[str, Any]] = [
    ORDER,
    ORDER | {"the lines": "none"},
    ORDER | {"the lines": []},
    ORDER | {"the lines": ["a"]},
    ORDER | {"paid": "perhaps", "extra": "none"},
    ORDER | {"profiling": "perhaps", "sharing": "perhaps", "id": "w-6"},
]
# A source that takes any event, without a mapping; and an alias from a name that is an address.
GATE: dict[str, Any] = {
    "name": "gate", "kind": "events", "format": "ndjson", "description": "D.", "events": [], "unknown_events": "accept",
}  # fmt: skip
ALIAS = {"messageId": "g-1", "type": "alias", "timestamp": "2017-05-01T10:00:00Z", "previousId": ANN, "userId": "u-1"}

LONG = ALIAS | {"messageId": "g" * 1_025, "previousId": "a-1", "userId": "u" * 1_024}


@dataclass
class Judged:
    """Rows by source in the order they came, and what they say of consent: (source, place, identifier, purpose, status)."""

    rows: dict[str, list[Row]]
    stated: set[tuple[str, int, str, str, str]]


@pytest.fixture(scope="module")
def judged(session: SparkSession) -> Judged:
    """All messages of this file through one judgement, told apart by a group: "vendors", "till", "shop", "gate"."""
    found = [("vendors", place, e.source, e.payload) for place, e in enumerate(EXAMPLES)]
    found += [("till", place, "till", row) for place, row in enumerate(SALES)]
    found += [("shop", place, "shop", {"order": order}) for place, order in enumerate(ORDERS)]
    found += [("gate", place, "gate", payload) for place, payload in enumerate((ALIAS, LONG))]
    rows = [
        (source, f"{group}:{place:02}", json.dumps(payload), None, None, None, RECEIVED, place, False)
        for group, place, source, payload in found
    ]
    sources = contracts.sources() | {s["name"]: SourceContract.model_validate(s) for s in (TILL, SHOP, GATE)}
    judgement = events.judgement_of(sources, contracts.events(), KEY)
    frame = events.judge_events(session.createDataFrame(rows, SCHEMA), judgement, KEY).localCheckpoint()
    grouped: dict[str, list[Row]] = {"vendors": [], "till": [], "shop": [], "gate": []}
    for row in frame.orderBy("message_id").collect():
        grouped[row.message_id.split(":")[0]].append(row)
    stated = frame.where(F.size("errors") == 0).select("message_id", F.inline("statements"))
    said = stated.select("message_id", "identifier_type", "purpose", "status").collect()
    return Judged(grouped, {(*_place(r.message_id), r.identifier_type, r.purpose, r.status) for r in said})


def _place(message_id: str) -> tuple[str, int]:
    group, _, place = message_id.partition(":")
    return group, int(place)


def cases() -> Iterator[Any]:
    for place, example in enumerate(EXAMPLES):
        yield pytest.param(place, example, id=f"{place}-{example.source}-{example.expected}")


@pytest.mark.parametrize(("place", "example"), cases())
def test_an_example_of_a_vendor(judged: Judged, place: int, example: Example) -> None:
    row = judged.rows["vendors"][place]
    if ":" in example.expected:
        assert list(row.errors) == [example.expected]
        return
    assert (list(row.errors), row["name"], row.type) == ([], example.expected, "track")
    assert row.event_id
    assert row.occurred_at.replace(tzinfo=UTC) == datetime(2017, 5, 1, 10, tzinfo=UTC)
    assert row.email_token == token("email", ANN, KEY)
    assert row.user_id == ("u-7" if example.source == "customerio" else None)
    properties = json.loads(row.properties)
    assert {name: properties.get(name) for name in example.properties} == example.properties
    declared = {name for event in contracts.events().values() for name in event.properties}
    assert set(properties) <= declared, "a field that is not mapped came through"
    assert ANN.lower() not in f"{row.properties}{row.context}{row.event_id}{row.consent}".lower()


def test_who_unsubscribes_or_complains_denies_marketing_and_nobody_else(judged: Judged) -> None:
    expected = set()
    for place, example in enumerate(EXAMPLES):
        if example.expected in DENIED:
            expected.add(("vendors", place, "email", "marketing", "denied"))
            if example.source == "customerio":
                expected.add(("vendors", place, "user_id", "marketing", "denied"))
    assert len(expected) >= 12
    assert {said for said in judged.stated if said[0] == "vendors"} == expected


def test_ids_tell_events_apart_and_recognise_what_is_sent_again(session: SparkSession) -> None:
    once = {"email": ANN, "timestamp": 1, "event": "open", "sg_message_id": "m", "sg_event_id": "a"}
    again = [once, once | {"sg_event_id": "b"}]
    others = [once | {field: "2"} for field in ("email", "timestamp", "event", "sg_message_id", "url")] + [{}]
    frame = session.createDataFrame(
        [("sendgrid", json.dumps(p)) for p in (*again, *others)], "source string, payload string"
    )
    ids = [json.loads(r.message).get("messageId") for r in with_message(frame, contracts.sources(), KEY).collect()]
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(ids) - 1
    assert ids[-1] is None, "nothing to tell it by is no id"
    other_key = with_message(frame, contracts.sources(), TokenKey(1, b"k" * 32, b"x" * 32)).collect()
    assert json.loads(other_key[0].message)["messageId"] != ids[0], "without the key nobody can try addresses"


def test_other_sources_and_broken_texts_pass_as_they_are(session: SparkSession) -> None:
    texts = [
        ("pos", '{"messageId" : "1"}'),
        ("pos", "no json"),
        ("nobody", "{}"),
        ("sendgrid", "no json"),
        ("sendgrid", "[1]"),
    ]
    frame = session.createDataFrame([*texts, ("sendgrid", None)], "source string, payload string")
    rows = with_message(frame, contracts.sources(), KEY).collect()
    assert [r.message for r in rows[:3]] == [text for _, text in texts[:3]]
    assert {r.message for r in rows[3:]} == {'{"type":"track","context":{},"properties":{}}'}
    alone = with_message(frame, {"pos": contracts.sources()["pos"]}, KEY).collect()
    assert [r.message for r in alone] == [r.payload for r in rows]


def test_rows_of_a_file_become_messages(judged: Judged) -> None:
    rows = judged.rows["till"]
    assert [list(row.errors) for row in rows] == [
        [],
        [],
        ["wrong_type:total", "wrong_type:products.quantity", "wrong_type:products.sales_value"],
        [],
        ["unknown_type:type"],
    ]
    products = [{"product_id": "0012", "quantity": 2, "sales_value": 3.5}]
    order = {"order_id": "r-1", "total": 3.5, "currency": "EUR", "products": products}
    assert json.loads(rows[0].properties) == order
    assert (rows[0].event_id, rows[0].loyalty_id, rows[0]["name"]) == ("r-1", "7", "Order Completed")
    assert len(rows[1].event_id) == 32
    assert (rows[3]["name"], rows[3].email_token) == ("identify", token("email", ANN, KEY))
    assert {said for said in judged.stated if said[0] == "till"} == {
        ("till", 1, "loyalty_id", "marketing", "denied"),  # any word but the granted ones
        ("till", 3, "loyalty_id", "marketing", "granted"),  # an identify states it
        ("till", 3, "email", "marketing", "granted"),
    }


def test_nested_json_becomes_messages(judged: Judged) -> None:
    rows = judged.rows["shop"]
    assert [sorted(row.errors) for row in rows] == [
        [],
        ["wrong_type:products"],
        ["missing_property:products"],
        [f"missing_property:products.{name}" for name in ("product_id", "quantity", "sales_value")],
        [],
        [],
    ]
    assert json.loads(rows[0].properties) == {
        "order_id": "17",
        "products": [
            {"product_id": "a", "quantity": 1, "sales_value": 2.5},
            {"product_id": "b", "quantity": 2, "sales_value": 7.1},
        ],
        "paid": True,
        "extra": {"a": [1]},
    }
    assert (rows[0].event_id, rows[0].user_id) == ("17", "12")
    assert rows[0].occurred_at.replace(tzinfo=UTC) == datetime(2017, 5, 1, 10, tzinfo=UTC)
    odd = json.loads(rows[4].properties)
    assert (odd["paid"], odd["extra"]) == ("perhaps", "none"), "what is not of its type stays as it is"
    assert {said for said in judged.stated if said[0] == "shop"} == {
        ("shop", place, "user_id", purpose, "denied") for place in (0, 4) for purpose in ("profiling", "sharing")
    }


def test_the_smallest_mapping_makes_messages_without_a_name(session: SparkSession) -> None:
    mapping = {"event_id": "$.id", "type": "identify", "timestamp": "$.at", "identifiers": {"user_id": "$.user"}}
    small = {"name": "app", "kind": "events", "format": "ndjson", "description": "D.", "events": ["identify"]}
    source = SourceContract.model_validate(
        small | {"mapping": mapping | {"properties": {"plan": {"constant": "free"}}}}
    )
    frame = session.createDataFrame([("app", '{"id":1,"user":"u","at":"2017-05-01"}')], "source string, payload string")
    rows = with_message(frame, {"app": source}, KEY).collect()
    assert json.loads(rows[0].message) == {
        "messageId": "1", "type": "identify", "timestamp": "2017-05-01", "userId": "u", "traits": {"plan": "free"},
    }  # fmt: skip


def test_an_alias_brings_no_address_into_silver(judged: Judged) -> None:
    row = judged.rows["gate"][0]
    former = token("user_id", ANN.lower(), KEY)
    assert (row.errors, row.anonymous_id, row.previous_id) == ([], None, former)
    assert [tuple(pair) for pair in row.identifiers] == [("user_id", "u-1"), ("previous_id", former)]
    assert [tuple(pair) for pair in row.vaulted] == [(former, ANN.lower())]


def test_an_id_has_an_end(judged: Judged) -> None:
    assert judged.rows["gate"][1].errors == ["too_long:messageId"]
