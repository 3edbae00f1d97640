"""Mappings: what a contract may say of another's messages, and that those of the vendors make the events they list."""

from typing import Any

import pytest
from pydantic import ValidationError

from expectations import contracts
from expectations.contracts import EventMapping, SourceContract

MAPPED = {name: source for name, source in contracts.sources().items() if source.mapping is not None}
VENDORS = {"sendgrid", "mailchimp", "hubspot_email", "customerio"}
GOOD: dict[str, Any] = {
    "event_id": "$.id",
    "name": {
        "of": ["$.kind", ["$.why", "$['the reason']"]],
        "values": {"open": "Email Opened", "bounce.hard": "Email Bounced"},
    },
    "timestamp": {"path": "$.at", "format": "epoch_ms"},
    "identifiers": {"email": ["$.email", "$.to[0].address"], "user_id": "$.user"},
    "properties": {
        "email_id": "$.mail",
        "channel": {"constant": "email"},
        "total": {"path": "$.total", "type": "number"},
        "products": {
            "path": "$.lines",
            "items": {"product_id": "$.sku", "quantity": {"path": "$.n", "type": "number"}},
        },
    },
    "consents": {"marketing": {"denied": ["Email Bounced"]}, "sharing": {"of": "$.share", "granted": ["yes"]}},
}
SOURCE: dict[str, Any] = {
    "name": "app", "kind": "events", "format": "ndjson", "description": "D.", "events": ["Email Opened", "Email Bounced"],
}  # fmt: skip
CSV = {"format": "csv", "columns": {name: {} for name in ("id", "kind", "why", "the reason", "at", "email", "to", "user",
                                                          "mail", "total", "lines", "share")}}  # fmt: skip


def source(**changes: Any) -> SourceContract:
    return SourceContract.model_validate(SOURCE | {"mapping": GOOD} | changes)


def test_a_mapping_is_read_in_its_short_forms_and_survives_json() -> None:
    mapping = source().mapping
    assert mapping is not None
    assert mapping.event_id.path == ("$.id",)
    assert mapping.identifiers["user_id"] == ("$.user",)
    assert mapping.properties["products"].items["product_id"].path == ("$.sku",)
    assert set(mapping.names()) == {"Email Opened", "Email Bounced"}
    assert mapping.top_keys() == set(CSV["columns"])
    assert SourceContract.model_validate_json(source().model_dump_json(exclude_defaults=True)) == source()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"surprise": 1}, "Extra inputs"),
        ({"name": {"of": "$.kind", "value": {}}}, "Extra inputs"),
        ({"timestamp": {"path": "$.at", "format": "epoch_us"}}, "epoch_ms"),
        ({"timestamp": {"path": "$.at", "zone": "UTC"}}, "Extra inputs"),
        ({"event_id": "id"}, "is no path"),
        ({"event_id": {"path": "$"}}, "is no path"),
        ({"event_id": "$.a..b"}, "is no path"),
        ({"event_id": "$.list[*].id"}, "is no path"),
        ({"event_id": {}}, "needs path, hash_of, or both"),
        ({"event_id": {"sha256": ["$.a"]}}, "Extra inputs"),
        ({"identifiers": {}}, "at least 1"),
        ({"identifiers": {"cookie": "$.a"}}, "'user_id', 'anonymous_id'"),
        ({"identifiers": {"email": []}}, "at least 1"),
        ({"identifiers": {"user_id": {"constant": "1"}}}, "valid tuple"),
        ({"name": None}, "track events need a name"),
        ({"type": "identify"}, "name belongs to track events"),
        ({"type": "wave"}, "'track', 'identify'"),
        ({"properties": {"a": {}}}, "needs a path, a constant or items"),
        ({"properties": {"a": {"path": "$.a", "constant": "b"}}}, "needs a path, a constant or items"),
        ({"properties": {"a": {"path": "$.a", "type": "date"}}}, "'string', 'number'"),
        ({"properties": {"a": {"items": {"b": {"items": {"c": "$.c"}}}}}}, "items inside items"),
        ({"properties": {"a": {"items": {"b": "$.b"}, "type": "object"}}}, "items are an array"),
        ({"consents": {"selling": {"denied": ["a"]}}}, "'analytics', 'marketing'"),
        ({"consents": {"marketing": {}}}, "needs granted, denied, or both"),
        ({"consents": {"marketing": {"granted": ["Email Opened"]}}}, "name them in denied"),
    ],
)
def test_a_malformed_mapping_is_refused(change: dict[str, Any], expected: str) -> None:
    EventMapping.model_validate(GOOD)
    with pytest.raises(ValidationError, match=expected):
        EventMapping.model_validate(GOOD | change)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"events": ["Email Opened"]}, "mapping makes .*Email Bounced"),
        (
            {"kind": "records", "object": "o", "key": ["id"], "columns": {"id": {}}, "events": []},
            "belongs to kind events",
        ),
        ({"format": "csv"}, "need columns"),
        (CSV | {"mapping": None}, "need columns, and a mapping"),
        (
            CSV | {"columns": {name: {} for name in CSV["columns"] if name != "the reason"}},
            "undeclared columns.*the reason",
        ),
    ],
)
def test_a_mapping_that_does_not_fit_its_source_is_refused(change: dict[str, Any], expected: str) -> None:
    source()
    source(**CSV)
    with pytest.raises(ValidationError, match=expected):
        source(**change)


def test_identify_messages_have_no_name_of_their_own() -> None:
    mapping = {name: value for name, value in GOOD.items() if name not in ("name", "consents")} | {"type": "identify"}
    assert list(EventMapping.model_validate(mapping).names()) == ["identify"]
    either = GOOD | {"type": {"of": "$.kind", "values": {"login": "identify", "open": "track"}}}
    assert set(EventMapping.model_validate(either).names()) == {"identify", "Email Opened", "Email Bounced"}


def test_the_vendors_are_mapped() -> None:
    assert set(MAPPED) >= VENDORS


@pytest.mark.parametrize("name", MAPPED)
def test_what_is_listed_comes_out_and_is_declared(name: str) -> None:
    mapping, events = MAPPED[name].mapping, [contracts.events()[event] for event in MAPPED[name].events]
    assert mapping is not None
    assert set(mapping.names()) == {event.name for event in events}
    declared = {field for event in events for field in event.properties}
    assert set(mapping.properties) <= declared, "a property that no event of the source declares"
    for event in events:
        required = {field for field, rule in event.properties.items() if rule.required}
        assert required <= set(mapping.properties), f"{event.name} can never be valid"


@pytest.mark.parametrize("name", VENDORS)
def test_who_unsubscribes_or_complains_denies_marketing(name: str) -> None:
    mapping = MAPPED[name].mapping
    assert mapping is not None
    assert "email" in mapping.identifiers
    denied = mapping.consents["marketing"]
    assert (denied.of, set(denied.denied)) == (None, {"Email Unsubscribed", "Email Marked as Spam"})
    assert set(denied.denied) <= set(mapping.names())
