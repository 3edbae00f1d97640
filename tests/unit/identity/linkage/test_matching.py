"""Records of people in the vault → pairs: what is linked, what a person is asked, and that tomorrow's run says the same."""

import json
import shutil
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from lakekit import NOW, Lake, write_lake
from peoplekit import people
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.identity.linkage import matching
from jobs.identity.linkage.decisions import ACCEPTED, REJECTED, decide
from jobs.identity.linkage.people import people_of
from jobs.identity.linkage.weights import read_weights, write_weights
from jobs.identity.matches import LINKED, TABLE
from jobs.identity.rules import load_rules
from jobs.lake import delta
from jobs.lake.swap import replace_if_changed
from jobs.privacy import persons

COLUMNS = ("given_name", "surname", "birth_date", "email", "phone", "city")
PEOPLE = people(150, seed=6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home")


def context(settings: Settings, days: int = 0) -> Context:
    return Context(settings, Clock(NOW + timedelta(days=days)), f"run-{days}")


def match(settings: Settings, days: int = 0) -> matching.Matched:
    return keep(settings, matching.match_people(context(settings, days), load_rules(), []))


def keep(settings: Settings, found: matching.Matched) -> matching.Matched:
    """What an identity run does once its guard agrees."""
    assert found.table is not None
    replace_if_changed(settings, TABLE, found.table)
    return found


def rows(settings: Settings) -> dict[str, dict[str, Any]]:
    return {row["pair_id"]: row for row in delta.read(settings, TABLE).to_pylist()}


def tell(settings: Settings, records: list[dict[str, str | None]], source: str = "sim_crm") -> None:
    """Each record is a row of a CRM with a user id of its own, that silver has seen."""
    lake, pairs = Lake(), []
    for number, record in enumerate(records):
        user = f"U-{record['id']}"
        lake.event(source, "identify", "2017-06-01", {"user_id": user}, event_id=f"e-{record['id']}")
        statement = {
            "at": number, "position": number, "whole": True,
            "identifiers": [{"identifier_type": "user_id", "identifier_value": user}],
            "columns": {name: value for name, value in record.items() if value and name not in ("id", "entity")},
        }  # fmt: skip
        name = persons.SEPARATOR.join([persons.RECORD, source, "person", str(record["id"])])
        pairs.append((name, json.dumps(statement)))
    write_lake(settings, lake)
    persons.keep(settings, pairs)


@pytest.fixture(scope="module")
def compared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose records are compared, the weights learned: to learn takes seconds, a copy takes none."""
    settings = make_settings(tmp_path_factory.mktemp("compared") / "home")
    tell(settings, PEOPLE)
    assert match(settings).has_trained
    return settings.home


@pytest.fixture
def compared(compared_once: Path, tmp_path: Path) -> Settings:
    """A copy of that home for one test."""
    shutil.copytree(compared_once, tmp_path / "compared", symlinks=True)
    return make_settings(tmp_path / "compared")


def test_pairs_are_found_and_weighed_and_nothing_personal_is_written(settings: Settings) -> None:
    records = people(250, seed=5)
    tell(settings, records)
    found = match(settings)
    entity = {f"sim_crm/person/{record['id']}": record["entity"] for record in records}
    linked = {key: row for key, row in rows(settings).items() if row["outcome"] == LINKED}
    right = sum(entity[row["record_a"]] == entity[row["record_b"]] for row in linked.values())
    true = sum(one == other for one, other in combinations(entity.values(), 2))
    assert (found.records, found.linked, found.has_trained) == (len(records), len(linked), True)
    assert right / len(linked) > 0.97
    assert right / true > 0.75
    assert all(row["is_simulated"] and row["match_weight"] > 0 for row in linked.values())
    text = str([delta.read(settings, name).to_pylist() for name in (TABLE, "identity_weights")])
    assert "example.com" not in text
    assert not [record for record in records if record["email"] and str(record["email"]).split("@")[0] in text]


def test_the_weights_are_kept_and_the_same_records_are_judged_the_same(compared: Settings) -> None:
    version, weights = delta.version(compared, TABLE), read_weights(compared)
    assert weights is not None
    again = match(compared, days=1)
    assert not again.has_trained
    assert delta.version(compared, TABLE) == version
    tell(compared, people(60, seed=7), source="sim_pos")
    assert match(compared, days=2).linked > again.linked
    kept = read_weights(compared)
    assert kept is not None
    assert kept.version == weights.version
    fresh, is_new = matching.train(context(compared, 3), load_rules(), [])
    assert is_new
    assert fresh.version != weights.version


def test_strangers_change_no_judgement(compared: Settings) -> None:
    before = {key: row["match_probability"] for key, row in rows(compared).items()}
    strangers = [dict.fromkeys(COLUMNS) | {"id": f"s{n}", "city": "hull", "phone": f"{n:09d}"} for n in range(300)]
    tell(compared, strangers, source="sim_pos")
    match(compared, days=1)
    after = {key: row["match_probability"] for key, row in rows(compared).items()}
    assert {key: after.get(key) for key in before} == before


def test_records_that_say_nothing_that_the_kept_weights_know_are_not_compared_and_stop_nothing(
    compared: Settings, settings: Settings
) -> None:
    weights = read_weights(compared)
    assert weights is not None
    write_weights(settings, weights, trained_at=NOW, records=1, simulated=True)
    tell(settings, [{"id": f"r{n}", "address": f"{n // 2} high street", "state": "nsw"} for n in range(300)])
    found = match(settings)
    assert (found.records, found.linked, found.left_open, found.has_trained) == (300, 0, 0, False)
    assert read_weights(settings) == weights


def test_what_events_said_under_a_blocked_account_is_nobodys() -> None:
    pairs = (("user_id", "null"), ("anonymous_id", "browser"))
    said = {"given_name": "Ann", "surname": "Adler"}
    account = persons.PersonRecord("of events", "web", pairs, said, 0, is_account=True)
    row = persons.PersonRecord("of a crm", "crm", pairs, said, 0, is_account=False)
    found = people_of([account, row], ["user_id", "anonymous_id"], {}, {("anonymous_id", "browser")})
    assert (found.records, found.anchors) == ([row], [("anonymous_id", "browser")])


def test_what_a_person_decides_counts_until_they_decide_otherwise(compared: Settings) -> None:
    before = rows(compared)
    asked = next(row for row in before.values() if row["outcome"] == matching.UNCERTAIN)
    linked = next(row for row in before.values() if row["outcome"] == LINKED)
    assert decide(context(compared), asked, ACCEPTED)
    assert not decide(context(compared), asked, ACCEPTED)
    decide(context(compared), linked, ACCEPTED)
    decide(context(compared), linked, REJECTED)
    match(compared)
    after = rows(compared)
    assert (after[asked["pair_id"]]["outcome"], after[asked["pair_id"]]["is_decided"]) == (LINKED, True)
    assert after[linked["pair_id"]]["outcome"] == "rejected"


def test_few_records_are_not_compared_and_cannot_teach(settings: Settings) -> None:
    tell(settings, people(20, seed=9))
    found = match(settings)
    assert (found.linked, found.has_trained, rows(settings)) == (0, False, {})
    with pytest.raises(UsageError, match="too few to learn from"):
        matching.train(context(settings), load_rules(), [])


def test_a_record_whose_identifiers_are_blocked_or_unseen_is_left_out(compared: Settings) -> None:
    everybody = match(compared)
    blocked = [f"user_id|u-{str(record['id']).lower()}" for record in PEOPLE[:40]]
    found = matching.match_people(context(compared), load_rules(), blocked)
    assert found.records == everybody.records - 40
