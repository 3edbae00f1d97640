"""Matched records as links of an identity run: ledger, limits, guard, review, undo."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from lakekit import NOW, Lake, write_lake
from peoplekit import people
from settingskit import make_settings

from jobs.cli import cli
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import GateError, UsageError
from jobs.core.settings import Settings
from jobs.identity.linkage.config import load_linkage
from jobs.identity.linkage.decisions import ACCEPTED, REJECTED, decide
from jobs.identity.review import find_pair, queue
from jobs.identity.runner import match, run
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.privacy import persons, vault
from jobs.privacy.keys import load_token_key
from jobs.privacy.rotation import rotate_tokens
from jobs.privacy.tokens import token

COLUMNS = ("given_name", "surname", "birth_date", "email", "phone", "city")
RECORDS = people(200, seed=11, most=2)
DOUBTFUL = people(200, seed=15, most=2)  # some of these are left open


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home", identity_changes=5)


def tell(
    settings: Settings,
    records: list[dict[str, Any]],
    kind: str = "user_id",
    at: int = 0,
    values: dict[str, str] | None = None,
) -> None:
    lake, pairs = Lake(), []
    for number, record in enumerate(records):
        value = (values or {}).get(str(record["id"]), f"{kind}-{record['id']}")
        lake.event("sim_crm", "identify", "2017-06-01", {kind: value}, event_id=f"e-{record['id']}")
        statement = {
            "at": at + number, "position": at + number, "whole": True,
            "identifiers": [{"identifier_type": kind, "identifier_value": value}],
            "columns": {name: record[name] for name in COLUMNS if record[name]},
        }  # fmt: skip
        name = persons.SEPARATOR.join([persons.RECORD, "sim_crm", "person", str(record["id"])])
        pairs.append((name, json.dumps(statement)))
    write_lake(settings, lake)
    persons.keep(settings, pairs)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What is learned from RECORDS and from DOUBTFUL, learned once: equal records teach the same (`test_matching`)."""
    found = {}
    for name, records in (("RECORDS", RECORDS), ("DOUBTFUL", DOUBTFUL)):
        settings = make_settings(tmp_path_factory.mktemp(name) / "home")
        tell(settings, records)
        match(Context(settings, Clock(NOW), "learn"))
        found[name] = delta.read(settings, "identity_weights")
        assert found[name].num_rows > 0
    return found


@pytest.fixture
def of_records(settings: Settings, weights: dict[str, pa.Table]) -> None:
    """An earlier run has learned from RECORDS."""
    delta.replace(settings, "identity_weights", weights["RECORDS"])


@pytest.fixture
def of_doubtful(settings: Settings, weights: dict[str, pa.Table]) -> None:
    """An earlier run has learned from DOUBTFUL."""
    delta.replace(settings, "identity_weights", weights["DOUBTFUL"])


def resolve(settings: Settings, days: int, approved: int = 0) -> dict[str, int]:
    context = Context(settings, Clock(NOW + timedelta(days=days)), f"run-{days}")
    return run(context, Stage("identity.run"), approved=approved, matched=match(context).table)


def called(settings: Settings, *arguments: str, code: int = 0) -> Result:
    environment = {"C360_HOME": str(settings.home), "C360_NOW": "2018-01-05T00:00:00Z", "C360_IDENTITY_CHANGES": "1000"}
    result = CliRunner().invoke(cli, ["identity", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return result


def owners(settings: Settings) -> dict[str, str]:
    rows = delta.read(settings, "profile_identifiers").to_pylist()
    return {row["identifier_value"]: row["profile_id"] for row in rows}


def by_entity(settings: Settings, kind: str = "user_id") -> tuple[int, int, int]:
    """(profiles, profiles of more than one entity, entities that have several records)."""
    owner = owners(settings)
    found: dict[str, set[str]] = {}
    records: dict[str, int] = {}
    for record in RECORDS:
        found.setdefault(owner[f"{kind}-{record['id']}"], set()).add(str(record["entity"]))
        records[str(record["entity"])] = records.get(str(record["entity"]), 0) + 1
    return len(found), sum(len(entities) > 1 for entities in found.values()), sum(n > 1 for n in records.values())


def test_matches_merge_within_the_guard_and_the_ledger_says_why(settings: Settings) -> None:
    few = [record for record in RECORDS if str(record["id"]).endswith("-0")]  # one record of each: nothing to match
    tell(settings, few[:150])
    assert resolve(settings, 0)["links_by_match"] == 0
    tell(settings, few[150:] + [record for record in RECORDS if str(record["id"]).endswith("-1")])
    assert len(RECORDS) >= 200
    first = resolve(settings, 1)
    profiles, mixed, several = by_entity(settings)
    assert mixed <= 1
    assert first["links_by_match"] > 0.7 * several
    assert profiles == first["profiles"] <= len(RECORDS) - 0.7 * several


@pytest.mark.usefixtures("of_records")
def test_a_match_that_comes_later_is_a_merge_by_its_weight_and_can_be_undone(settings: Settings) -> None:
    tell(settings, RECORDS)
    run(Context(settings, Clock(NOW), "run-0"), Stage("identity.run"))  # nobody has compared them yet
    before = owners(settings)
    assert len(set(before.values())) == len(RECORDS)
    with pytest.raises(GateError, match="nothing was written") as stopped:
        resolve(settings, 1)
    assert owners(settings) == before
    assert delta.read(settings, "identity_matches").num_rows == 0, "an undo would take up what the guard has refused"
    asked = int(str(stopped.value).rsplit(" ", 1)[1])
    assert resolve(settings, 1, approved=asked)["merges"] == asked
    merges = [row for row in delta.read(settings, "identity_ledger").to_pylist() if row["action"] == "merge"]
    evidence = json.loads(merges[0]["evidence"])
    assert evidence["link"] == "user_id matched with user_id"
    assert evidence["match_weight"] > 4
    assert evidence["events"][0].startswith("match|")
    shown = called(settings, "explain", str(merges[0]["profile_id"])).output
    assert "matched, " in shown
    assert " bits" in shown
    called(settings, "undo", str(merges[0]["entry_id"])[:12])
    after = owners(settings)
    assert {v: p for v, p in after.items() if p == merges[0]["other_profile_id"]} == {
        v: p for v, p in before.items() if p == merges[0]["other_profile_id"]
    }
    assert resolve(settings, 9)["merges"] == 0
    (cut,) = [row for row in delta.read(settings, "identity_edges").to_pylist() if not row["is_kept"]]
    assert cut["cut_reason"] == "separation"


@pytest.mark.usefixtures("of_records")
def test_a_rejected_pair_is_joined_by_no_third_record(settings: Settings) -> None:
    """Nor by a second identifier of either profile."""
    true = next(record for record in RECORDS if all(record[name] for name in COLUMNS))
    triple = [true | {"id": f"t{number}", "entity": "t"} for number in range(3)]
    tell(settings, RECORDS + triple)
    resolve(settings, 0)
    ends = [f"user_id-t{number}" for number in range(3)]
    assert len({owners(settings)[end] for end in ends}) == 1
    rows = delta.read(settings, "identity_matches").to_pylist()
    (pair,) = [row for row in rows if {row["record_a"], row["record_b"]} == {"sim_crm/person/t0", "sim_crm/person/t1"}]
    decide(Context(settings, Clock(NOW), "by hand"), pair, REJECTED)
    resolve(settings, 1, approved=20)
    owner = owners(settings)
    assert owner[ends[0]] != owner[ends[1]]


@pytest.mark.usefixtures("of_doubtful")
def test_what_was_decided_counts_where_nothing_can_be_compared(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(settings, DOUBTFUL)
    resolve(settings, 0)
    pair = queue(settings)[0].pair
    decide(Context(settings, Clock(NOW), "by hand"), pair, ACCEPTED)
    too_few = load_linkage().model_copy(update={"least_records": 10_000})
    monkeypatch.setattr("jobs.identity.linkage.matching.load_linkage", lambda: too_few)
    resolve(settings, 1, approved=1_000)
    (row,) = delta.read(settings, "identity_matches").to_pylist()
    assert (row["pair_id"], row["outcome"]) == (pair["pair_id"], "linked")


@pytest.mark.usefixtures("of_records")
def test_matches_hold_while_a_token_key_is_rotated(settings: Settings) -> None:
    key = load_token_key(settings)
    mail = {str(record["id"]): f"{record['id']}@example.com" for record in RECORDS}
    vault.store(settings, [(token("email", value, key), value) for value in mail.values()])
    tell(settings, RECORDS, kind="email", values={name: token("email", value, key) for name, value in mail.items()})
    resolve(settings, 0)
    before = owners(settings)
    assert len(set(before.values())) < len(before)
    rotate_tokens(Context(settings, Clock(NOW), "rotate"), window_days=30)
    figures = run(Context(settings, Clock(NOW), "rebuild"), Stage("identity.rebuild"), from_ledger=True)
    assert (figures["splits"], figures["creates"], figures["merges"]) == (0, 0, 0)
    assert {value: owner for value, owner in owners(settings).items() if value in before} == before


@pytest.mark.usefixtures("of_records")
def test_no_match_joins_two_of_a_unique_type(settings: Settings) -> None:
    tell(settings, RECORDS, kind="loyalty_id")
    figures = resolve(settings, 0)
    assert (figures["links_by_match"] > 30, figures["profiles"]) == (True, len(RECORDS))
    rows = delta.read(settings, "identity_edges").to_pylist()
    assert {(row["is_kept"], row["cut_reason"]) for row in rows} == {(False, "limit")}
    assert "0 pairs wait" in called(settings, "review", "list").output  # nobody is asked what no answer could change


def test_a_person_decides_what_the_comparison_leaves_open(settings: Settings) -> None:
    tell(settings, DOUBTFUL)
    assert "weights newly learned" in called(settings, "run").output
    listed = called(settings, "review", "list").output.splitlines()
    pair, other = listed[1].split()[0], listed[2].split()[0]
    audit = settings.home / "vault" / "audit.jsonl"
    before = len(audit.read_text().splitlines())
    assert "given_name" in called(settings, "review", "show", pair[:8]).output
    entry = json.loads(audit.read_text().splitlines()[before])
    assert (entry["purpose"], entry["person_records"]) == ("identity:review", 2)
    assert "1 of 1 newly accepted" in called(settings, "review", "accept", pair).output
    assert "0 of 1 newly accepted" in called(settings, "review", "accept", pair).output
    called(settings, "review", "reject", other)
    left = called(settings, "review", "list").output  # nobody is asked again before the next run
    assert [asked in left for asked in (pair, other)] == [False, False]
    owner = owners(settings)
    rows = {row["pair_id"]: row for row in delta.read(settings, "identity_matches").to_pylist()}
    ends = [rows[pair][f"identifier_value_{side}"] for side in "ab"]
    assert owner[ends[0]] != owner[ends[1]]
    assert "weights as learned before" in called(settings, "run").output
    owner = owners(settings)
    assert owner[ends[0]] == owner[ends[1]]
    open_now = called(settings, "review", "list").output
    assert pair not in open_now
    assert other not in open_now
    called(settings, "review", "accept", other)  # a word can be taken back
    called(settings, "run")
    ends = [rows[other][f"identifier_value_{side}"] for side in "ab"]
    assert len({owners(settings)[end] for end in ends}) == 1
    with pytest.raises(UsageError, match="no pair 'ffffffff'"):
        find_pair(settings, "ffffffff")


@pytest.mark.usefixtures("of_doubtful")
def test_an_accepted_pair_stays_when_nothing_brings_it_together_any_more(settings: Settings) -> None:
    tell(settings, DOUBTFUL)
    resolve(settings, 0)
    pair = queue(settings)[0].pair
    decide(Context(settings, Clock(NOW), "by hand"), pair, ACCEPTED)
    numbers = [next(r for r in DOUBTFUL if f"sim_crm/person/{r['id']}" == pair[f"record_{side}"]) for side in "ab"]
    changed = numbers[1] | dict.fromkeys(COLUMNS) | {"given_name": "zz", "city": "yy"}
    tell(settings, [record if record is not numbers[1] else changed for record in DOUBTFUL], at=10_000)
    resolve(settings, 1, approved=20)
    owner = owners(settings)
    assert len({owner[f"user_id-{record['id']}"] for record in numbers}) == 1


def test_people_who_have_nothing_in_common_teach_and_link_nothing(settings: Settings) -> None:
    alone = [
        {"id": f"x{n}", "given_name": f"given{n:05x}", "surname": f"surname{n * 7919:07x}", "birth_date": None,
         "email": f"{n * 104729:x}@example.com", "phone": None, "city": None}
        for n in range(250)
    ]  # fmt: skip
    tell(settings, alone)
    assert resolve(settings, 0)["links_by_match"] == 0


def test_records_that_say_one_thing_only_are_not_compared(settings: Settings) -> None:
    tell(settings, [record | dict.fromkeys(COLUMNS) | {"city": "hull"} for record in RECORDS])
    assert resolve(settings, 0)["links_by_match"] == 0
