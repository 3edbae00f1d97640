"""What breaks and what does not: forty changes labelled by hand, versions, removals, and settings without a rule."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from expectations.contracts import ContractError, EventContract, FieldContract, SourceContract, sets
from expectations.contracts.compatibility import (
    RULED_EVENT,
    RULED_FIELD,
    RULED_SOURCE,
    Change,
    compare,
    compare_events,
    compare_sources,
)
from expectations.contracts.sets import ContractSet

CASES = yaml.safe_load((Path(__file__).parent / "data" / "contract_changes.yml").read_text(encoding="utf-8"))
RECORDS = {"kind": "records", "object": "o", "key": ["id"], "columns": {"id": {}}}
BARE: dict[str, dict[str, Any]] = {
    "event": {"name": "Thing Done", "type": "track", "description": "D."},
    "messages": {"name": "app", "kind": "events", "format": "ndjson", "description": "D."},
    "csv": {"name": "crm", "format": "csv", "description": "D."} | RECORDS,
    "parquet": {"name": "crm", "format": "parquet", "description": "D."} | RECORDS,
}


def of(kind: str, **changes: Any) -> ContractSet:
    document = BARE[kind] | changes
    if kind == "event":
        return ContractSet(events={"Thing Done": EventContract.model_validate(document)})
    return ContractSet(sources={document["name"]: SourceContract.model_validate(document)})


def changes_of(case: dict[str, Any]) -> list[Change]:
    return compare(of(case["in"], **case["old"]), of(case["in"], **case["new"]))


def test_there_are_forty_of_both_labels() -> None:
    assert len(CASES) == 40
    assert len({case["why"] for case in CASES}) == 40
    assert 12 <= sum(case["expect"] == "compatible" for case in CASES) <= 28


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_labelled_change(case: dict[str, Any]) -> None:
    changes = changes_of(case)
    assert any(change.is_breaking for change in changes) == (case["expect"] == "breaking")
    decisive = [change for change in changes if change.is_breaking == (case["expect"] == "breaking")]
    assert case["place"] in [change.place for change in decisive]
    assert all(change.text for change in changes)


@pytest.mark.parametrize("case", [case for case in CASES if case["expect"] == "breaking"], ids=lambda case: case["why"])
def test_a_breaking_change_blocks_until_its_version_is_raised(case: dict[str, Any]) -> None:
    assert any(change.blocks for change in changes_of(case))
    raised = changes_of(case | {"new": case["new"] | {"version": 2}})
    assert any(change.is_breaking for change in raised)
    assert not any(change.blocks for change in raised)


MAPPING: dict[str, Any] = {
    "event_id": "$.id", "name": {"of": "$.kind", "values": {"open": "Email Opened"}}, "timestamp": "$.at",
    "identifiers": {"email": "$.email"}, "properties": {"email_id": "$.mail"},
    "consents": {"marketing": {"denied": ["Email Opened"]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place", "breaks"),
    [
        ({"properties": {"email_id": "$.mail", "link_url": "$.url"}}, "mapping.properties.link_url", False),
        ({"properties": {"email_id": "$.message"}}, "mapping.properties.email_id", True),
        ({"properties": {}}, "mapping.properties.email_id", True),
        ({"identifiers": {"email": "$.email", "user_id": "$.user"}}, "mapping.identifiers.user_id", False),
        ({"identifiers": {"email": ["$.email", "$.mail"]}}, "mapping.identifiers.email", True),
        ({"name": {"of": "$.kind", "values": {"open": "Email Opened", "seen": "Email Opened"}}},
         "mapping.name.values.seen", False),
        ({"name": {"of": "$.kind", "values": {"open": "Email Opened", "open.bot": "Email Opened"}}},
         "mapping.name.values.open.bot", True),
        ({"name": {"of": "$.type", "values": {"open": "Email Opened"}}}, "mapping.name", True),
        ({"event_id": {"hash_of": ["$.email"]}}, "mapping.event_id", True),
        ({"timestamp": {"path": "$.at", "format": "epoch_s"}}, "mapping.timestamp", True),
        ({"consents": MAPPING["consents"] | {"sharing": {"denied": ["Email Opened"]}}}, "mapping.consents.sharing", False),
        ({"consents": {"marketing": {"of": "$.kind", "granted": ["open"]}}}, "mapping.consents.marketing", True),
    ],
)  # fmt: skip
def test_a_change_of_a_mapping(change: dict[str, Any], place: str, breaks: bool) -> None:
    events = {"events": ["Email Opened"]}
    old, new = of("messages", mapping=MAPPING, **events), of("messages", mapping=MAPPING | change, **events)
    assert [(c.place, c.is_breaking) for c in compare(old, new)] == [(place, breaks)]
    assert [(c.place, c.is_breaking) for c in compare(of("messages", **events), new)] == [("mapping", True)]


def test_nothing_changed_is_no_change() -> None:
    assert compare(sets.current(), sets.current()) == []


def test_a_version_that_goes_back_blocks() -> None:
    assert [c.blocks for c in compare(of("event", version=3), of("event", version=2))] == [True]
    assert [c.blocks for c in compare(of("event", version=2), of("event", version=3))] == [False]


def test_the_version_of_one_contract_covers_no_other() -> None:
    old = ContractSet(of("event", properties={"a": {}}).events, of("csv").sources)
    new = ContractSet(of("event").events, of("csv", version=2).sources)
    assert [c.contract for c in compare(old, new) if c.blocks] == ["event Thing Done"]


def test_a_removed_event_is_covered_by_those_who_sent_it() -> None:
    sent = of("messages", events=["Thing Done"]).sources
    old = ContractSet(of("event").events, sent)
    assert {c.contract for c in compare(old, ContractSet({}, sent)) if c.blocks} == {"event Thing Done"}
    moved = ContractSet({}, of("messages", version=2).sources)
    assert not any(c.blocks for c in compare(old, moved))
    assert any(c.is_breaking for c in compare(old, moved))
    assert not any(c.blocks for c in compare(of("event"), ContractSet())), "nobody sent it"


def test_a_removed_source_is_never_covered() -> None:
    changes = compare(of("csv"), ContractSet())
    assert [(c.contract, c.blocks) for c in changes] == [("source crm", True)]
    assert not any(c.is_breaking for c in compare(ContractSet(), of("csv")))


class LaterSource(SourceContract):
    novel: str = "a"


class LaterEvent(EventContract):
    novel: str = "a"


class LaterField(FieldContract):
    novel: str = "a"


def test_what_a_later_version_adds_to_the_shape_breaks_until_it_has_a_rule() -> None:
    old, new = LaterSource.model_validate(BARE["csv"]), LaterSource.model_validate(BARE["csv"] | {"novel": "b"})
    assert [(d.place, d.is_breaking) for d in compare_sources(old, new)] == [("novel", True)]
    was, now = LaterEvent.model_validate(BARE["event"]), LaterEvent.model_validate(BARE["event"] | {"novel": "b"})
    assert [(d.place, d.is_breaking) for d in compare_events(was, now)] == [("novel", True)]
    fields = [was.model_copy(update={"properties": {"a": LaterField(novel=novel)}}) for novel in ("a", "b")]
    assert [(d.place, d.is_breaking) for d in compare_events(*fields)] == [("properties.a.novel", True)]


@pytest.mark.parametrize("shape", [SourceContract, EventContract, FieldContract])
def test_rules_name_what_exists(shape: type[BaseModel]) -> None:
    ruled = {SourceContract: RULED_SOURCE, EventContract: RULED_EVENT, FieldContract: RULED_FIELD}[shape]
    assert set(ruled) <= set(shape.model_fields)


def test_a_set_survives_its_baseline() -> None:
    text = sets.to_baseline(sets.current())
    assert sets.from_baseline(text) == ContractSet(dict(sets.current().events), dict(sets.current().sources))
    assert sets.to_baseline(sets.from_baseline(text)) == text


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("bad.yml", "name: [", "not readable YAML"),
        ("bad.yml", "name: x\nkind: events\n", "format: Field required"),
        ("bad.yml", "just text", "valid dictionary"),
        ("bad.json", "{}", "expected a baseline"),
    ],
)
def test_an_unreadable_contract_is_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ContractError, match=expected) as error:
        sets.read_set(tmp_path / name)
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_folder_is_no_set_of_contracts(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="no contracts"):
        sets.read_set(tmp_path)
