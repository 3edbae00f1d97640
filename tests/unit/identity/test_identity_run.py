"""`c360 identity run` on a tiny lake: what is written, what a second run changes, merges, splits, explanations."""

import json
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner
from lakekit import Lake, token, write_lake
from pydantic import ValidationError
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import GateError, PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.identity.commands import group
from jobs.identity.explain import explain_lines
from jobs.identity.profiles import new_profile_id
from jobs.identity.rules import TypeRule
from jobs.identity.runner import run
from jobs.lake import delta
from jobs.lake.runs import Stage
from jobs.privacy.keys import load_token_key
from jobs.privacy.tokens import token as make_token

WRITTEN = ("profile_identifiers", "profile_redirects", "identity_ledger", "identity_edges")
EMAIL = token("email", "one@example.com")


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of this test alone, but one copy of DuckDB's extension for all: installing it costs a second each time."""
    shared = tmp_path_factory.getbasetemp() / "duckdb"
    shared.mkdir(exist_ok=True)
    home = tmp_path / "home"
    home.mkdir()
    (home / "duckdb").symlink_to(shared, target_is_directory=True)
    return make_settings(home)


def resolve(settings: Settings, days: int = 0, approved: int = 0) -> dict[str, int]:
    assert settings.now is not None
    clock = Clock(settings.now + timedelta(days=days))
    return run(Context(settings, clock, "test"), Stage("identity.run"), approved=approved)


def see(settings: Settings, *sightings: tuple[str, str, dict[str, str]]) -> None:
    lake = Lake()
    for event_id, when, ids in sightings:
        lake.event("sim_web", "page", when, ids, event_id=event_id)
    write_lake(settings, lake)


def mapping(settings: Settings) -> dict[str, str]:
    rows = delta.read(settings, "profile_identifiers").to_pylist()
    return {row["identifier_value"]: row["profile_id"] for row in rows}


def entries(settings: Settings, action: str) -> list[dict[str, Any]]:
    return [row for row in delta.read(settings, "identity_ledger").to_pylist() if row["action"] == action]


def state(settings: Settings) -> dict[str, tuple[int, list[dict[str, Any]]]]:
    return {name: (delta.version(settings, name), delta.read(settings, name).to_pylist()) for name in WRITTEN}


def test_login_of_an_anonymous_browser(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"anonymous_id": "a1"}))
    see(settings, ("e2", "2017-05-02", {"anonymous_id": "a1", "user_id": "u1"}))
    figures = resolve(settings)
    expected = new_profile_id("anonymous_id", "a1")  # the oldest identifier, though not the strongest
    assert mapping(settings) == {"a1": expected, "u1": expected}
    assert (figures["profiles"], figures["creates"], figures["merges"]) == (1, 1, 0)
    [entry] = entries(settings, "create")
    assert entry["profile_id"] == expected
    assert json.loads(entry["evidence"]) == {
        "events": ["sim_web|e1"],
        "first_seen": "2017-05-01T12:00:00Z",
        "identifiers": {"anonymous_id": 1, "user_id": 1},
    }


def test_a_login_after_the_first_run_keeps_the_id_without_a_merge(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"anonymous_id": "a1"}))
    resolve(settings)
    before = mapping(settings)["a1"]
    see(settings, ("e2", "2017-05-02", {"anonymous_id": "a1", "user_id": "u1"}))
    figures = resolve(settings, days=1)
    assert mapping(settings) == {"a1": before, "u1": before}
    assert (figures["creates"], figures["merges"]) == (0, 0)


def test_a_second_run_changes_nothing_not_even_a_delta_version(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"anonymous_id": "a1", "user_id": "u1"}), ("e2", "2017-05-02", {"email": EMAIL}))
    resolve(settings)
    see(settings, ("e3", "2017-06-01", {"user_id": "u1", "email": EMAIL}))
    crossing = [{"user_id": "u2", "anonymous_id": "b4"}, {"user_id": "u4", "anonymous_id": "b2"}]  # by ends, two orders
    see(settings, *((f"e{number}", "2017-06-02", ids) for number, ids in enumerate(crossing, 4)))
    resolve(settings, days=1)
    before = state(settings)
    figures = resolve(settings, days=2)
    assert state(settings) == before
    assert (figures["creates"], figures["merges"], figures["splits"]) == (0, 0, 0)
    assert [len(rows) for _, rows in before.values()] == [7, 1, 5, 4]


def test_two_profiles_joined_by_a_new_event(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "u1"}), ("e2", "2017-03-01", {"anonymous_id": "a1"}))
    resolve(settings)
    older, younger = mapping(settings)["a1"], mapping(settings)["u1"]
    see(settings, ("e3", "2017-06-01", {"user_id": "u1", "anonymous_id": "a1"}))
    figures = resolve(settings, days=1)
    assert figures["merges"] == 1
    assert mapping(settings) == {"a1": older, "u1": older}
    [redirect] = delta.read(settings, "profile_redirects").to_pylist()
    assert (redirect["from_profile_id"], redirect["to_profile_id"]) == (younger, older)
    [entry] = entries(settings, "merge")
    assert (entry["profile_id"], entry["other_profile_id"], entry["ledger_version"]) == (older, younger, 2)
    assert (entry["identifier_type"], entry["identifier_value"]) == ("anonymous_id", "a1")
    assert json.loads(entry["evidence"]) == {
        "event_count": 1,
        "events": ["sim_web|e3"],
        "first_seen": "2017-06-01T12:00:00Z",
        "link": "user_id seen with anonymous_id",
        "links": 1,
    }


def test_redirects_lead_straight_to_the_profile_that_lives(settings: Settings) -> None:
    firsts = [("e1", "2017-03-01", {"user_id": "u1"}), ("e2", "2017-02-01", {"email": EMAIL})]
    see(settings, *firsts, ("e3", "2017-01-01", {"anonymous_id": "a1"}))
    resolve(settings)
    was = mapping(settings)
    see(settings, ("e4", "2017-06-01", {"user_id": "u1", "email": EMAIL}))
    resolve(settings, days=1)
    see(settings, ("e5", "2017-07-01", {"user_id": "u1", "anonymous_id": "a1"}))
    resolve(settings, days=2)
    redirects = delta.read(settings, "profile_redirects").to_pylist()
    assert {r["from_profile_id"]: r["to_profile_id"] for r in redirects} == {
        was["u1"]: was["a1"],
        was[EMAIL]: was["a1"],
    }
    merged = {r["from_profile_id"]: r["merged_at"] for r in redirects}
    assert merged[was["u1"]] < merged[was[EMAIL]]


def test_a_browser_found_to_be_shared_is_split_off(settings: Settings) -> None:
    see(settings, ("e1", "2017-03-01", {"anonymous_id": "a1"}), ("e2", "2017-03-02", {"loyalty_id": "1"}))
    resolve(settings)
    browser, card = mapping(settings)["a1"], mapping(settings)["1"]
    see(settings, ("e3", "2017-04-01", {"anonymous_id": "a1", "loyalty_id": "1"}))
    resolve(settings, days=1)
    assert mapping(settings)["1"] == browser
    see(settings, ("e4", "2017-05-01", {"anonymous_id": "a1", "loyalty_id": "2"}))
    figures = resolve(settings, days=2)
    now = mapping(settings)
    assert now["1"] == browser, "the profile stays with its strongest identifier"
    assert len({now["1"], now["2"], now["a1"], card}) == 4
    assert (figures["splits"], figures["shared_identifiers"]) == (1, 1)
    [entry] = entries(settings, "split")
    assert (entry["profile_id"], entry["other_profile_id"]) == (browser, now["a1"])


def test_an_id_that_was_merged_away_never_comes_back(settings: Settings) -> None:
    see(settings, ("e1", "2017-03-01", {"loyalty_id": "1"}), ("e2", "2017-03-02", {"anonymous_id": "a1"}))
    resolve(settings)
    gone = mapping(settings)["a1"]
    see(settings, ("e3", "2017-04-01", {"anonymous_id": "a1", "loyalty_id": "1"}))
    resolve(settings, days=1)
    see(settings, ("e4", "2017-05-01", {"anonymous_id": "a1", "loyalty_id": "2"}))
    resolve(settings, days=2)
    assert gone == new_profile_id("anonymous_id", "a1"), "the id that the split-off browser would get, were it free"
    assert gone not in mapping(settings).values()
    assert mapping(settings)["a1"] not in (mapping(settings)["1"], mapping(settings)["2"])


def flags(settings: Settings, table: str, column: str) -> dict[str, bool]:
    return {row[column]: row["is_simulated"] for row in delta.read(settings, table).to_pylist()}


def test_what_only_simulated_sources_have_seen_says_so(settings: Settings) -> None:
    lake = Lake().event("sim_web", "page", "2017-03-01", {"anonymous_id": "a1"})
    lake.event("sim_web", "page", "2017-03-02", {"anonymous_id": "a2", "user_id": "u2"})
    lake.event("pos", "Order Completed", "2017-02-01", {"loyalty_id": "1"})
    write_lake(settings, lake.event("sim_web", "page", "2017-03-03", {"user_id": "u1", "loyalty_id": "1"}))
    resolve(settings)
    assert flags(settings, "profile_identifiers", "identifier_value") == {
        "a1": True, "a2": True, "u2": True, "u1": True, "1": False,
    }  # fmt: skip
    was = mapping(settings)
    assert flags(settings, "identity_ledger", "profile_id") == {was["a1"]: True, was["u2"]: True, was["1"]: False}
    see(settings, ("m1", "2017-04-01", {"user_id": "u1", "anonymous_id": "a1"}))
    resolve(settings, days=1)
    assert flags(settings, "profile_redirects", "from_profile_id") == {was["a1"]: True}
    [merge] = entries(settings, "merge")
    assert (merge["profile_id"], merge["is_simulated"]) == (was["1"], True)


def test_a_real_sighting_later_leaves_the_history_as_it_was(settings: Settings) -> None:
    see(settings, ("e1", "2017-03-01", {"user_id": "u1"}), ("e2", "2017-02-01", {"anonymous_id": "a1"}))
    resolve(settings)
    see(settings, ("e3", "2017-04-01", {"user_id": "u1", "anonymous_id": "a1"}))
    resolve(settings, days=1)
    ledger = delta.read(settings, "identity_ledger").to_pylist()
    write_lake(settings, Lake().event("pos", "Order Completed", "2017-05-01", {"user_id": "u1"}))
    resolve(settings, days=2)
    assert flags(settings, "profile_identifiers", "identifier_value") == {"a1": True, "u1": False}
    assert delta.read(settings, "identity_ledger").to_pylist() == ledger
    assert list(flags(settings, "profile_redirects", "from_profile_id").values()) == [True]


@pytest.mark.parametrize("seed", [20180102])
def test_order_of_arrival_does_not_change_what_is_written(settings: Settings, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    sightings = [
        (
            f"e{i}",
            f"2017-{1 + i % 12:02}-01",
            {"user_id": f"u{dice.randint(0, 9)}", "anonymous_id": f"a{dice.randint(0, 15)}"},
        )
        for i in range(40)
    ]
    other = make_settings(tmp_path / "other")
    see(settings, *sightings)
    see(other, *dice.sample(sightings, len(sightings)))
    resolve(settings)
    resolve(other)
    assert state(settings) == state(other)


def test_a_run_that_died_after_its_ledger_is_repeated_without_doubles(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "u1"}))

    def die(*_: Any, **__: Any) -> None:
        raise OSError("disk")

    with monkeypatch.context() as broken:
        broken.setattr(delta, "replace", die)
        with pytest.raises(OSError, match="disk"):
            resolve(settings)
    resolve(settings, days=1)
    assert len(entries(settings, "create")) == 1
    assert len(mapping(settings)) == 1


def test_an_emptied_silver_does_not_wipe_the_profiles(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "u1"}))
    resolve(settings)
    before = state(settings)
    silver = delta.read(settings, "silver_identifiers")
    delta.replace(settings, "silver_identifiers", pa.Table.from_batches([], schema=silver.schema))
    with pytest.raises(PermanentError, match="nothing was changed"):
        resolve(settings)
    assert state(settings) == before


def test_explain_shows_links_history_and_redirects(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "u1"}), ("e2", "2017-03-01", {"anonymous_id": "a1"}))
    resolve(settings)
    gone, alive = mapping(settings)["u1"], mapping(settings)["a1"]
    see(settings, ("e3", "2017-06-01", {"user_id": "u1", "anonymous_id": "a1"}))
    resolve(settings)
    by_identifier = list(explain_lines(settings, "user_id:u1", 10))
    text = "\n".join(by_identifier)
    assert by_identifier[0] == f"profile {alive}: 2 identifiers"
    assert "user_id:u1 with anonymous_id:a1  1 events, 2017-06-01 12:00 to 2017-06-01 12:00: sim_web|e3" in text
    [merge] = entries(settings, "merge")
    assert f"merge {merge['entry_id'][:12]} {gone} by anonymous_id:a1" in text
    by_old_id = list(explain_lines(settings, gone, 10))
    assert by_old_id[0].startswith(f"{gone} was merged into {alive}")
    assert by_old_id[1:] == by_identifier


def test_explain_names_the_cut_links(settings: Settings) -> None:
    ids = ({"loyalty_id": str(card), "anonymous_id": "kiosk"} for card in (1, 2))
    see(settings, *((f"e{i}", "2017-05-01", each) for i, each in enumerate(ids)))
    resolve(settings)
    cut = [line for line in explain_lines(settings, "kiosk", 10) if "CUT: this identifier is shared" in line]
    assert len(cut) == 2


def test_links_carry_their_evidence(settings: Settings) -> None:
    both = {"user_id": "u1", "anonymous_id": "a1"}
    see(settings, *((f"e{day}", f"2017-05-{day:02}", both) for day in (7, 3, 5, 1, 6, 4, 2)))
    lake = Lake().event("pos", "Order Completed", "2017-05-03", {"user_id": "u1", "loyalty_id": "1"}, event_id="till")
    write_lake(settings, lake)
    resolve(settings)
    [web, till] = delta.read(settings, "identity_edges").to_pylist()
    assert (till["weaker_value"], till["events"], till["is_simulated"]) == ("1", ["pos|till"], False)
    ends = tuple(web[f"{end}_{part}"] for end in ("stronger", "weaker") for part in ("type", "value"))
    assert ends == ("user_id", "u1", "anonymous_id", "a1")
    assert (web["first_seen_at"].day, web["last_seen_at"].day, web["event_count"]) == (1, 7, 7)
    assert web["events"] == [f"sim_web|e{day}" for day in (1, 2, 3, 4, 7)]
    assert (web["is_kept"], web["cut_reason"], web["is_simulated"]) == (True, None, True)
    [line] = [line for line in explain_lines(settings, "a1", 10) if "a1" in line and "with" in line]
    assert line.endswith("sim_web|e1, sim_web|e2, sim_web|e3, sim_web|e4, sim_web|e7 and 2 between")
    assert f"profile {mapping(settings)['u1']}: 3 identifiers" in next(explain_lines(settings, "1", 10))


def test_a_cut_link_says_why(settings: Settings) -> None:
    """Two cards share a kiosk; a sixth e-mail address of one account is one too many."""
    cards = ((f"c{n}", "2017-05-01", {"loyalty_id": f"card{n}", "anonymous_id": "kiosk"}) for n in (1, 2))
    emails = ((f"u{n}", f"2017-06-{n:02}", {"user_id": "u1", "email": f"e{n}"}) for n in range(1, 7))
    see(settings, *cards, *emails)
    resolve(settings)
    cut = {
        (row["stronger_value"], row["weaker_value"]): row["cut_reason"]
        for row in delta.read(settings, "identity_edges").to_pylist()
        if not row["is_kept"]
    }
    assert cut == {("card1", "kiosk"): "shared", ("card2", "kiosk"): "shared", ("u1", "e6"): "limit"}


def test_explain_refuses_the_unknown_and_the_ambiguous(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "7"}), ("e2", "2017-05-01", {"loyalty_id": "7"}))
    resolve(settings)
    with pytest.raises(UsageError, match="ambiguous; say which: loyalty_id:7, user_id:7"):
        list(explain_lines(settings, "7", 10))
    with pytest.raises(UsageError, match="no profile or identifier 'nobody'"):
        list(explain_lines(settings, "nobody", 10))


def test_the_command_prints_the_figures_and_records_the_stage(settings: Settings) -> None:
    see(settings, ("e1", "2017-05-01", {"user_id": "u1"}))
    done = CliRunner().invoke(group, ["run"], obj=Context.from_settings(settings), catch_exceptions=False)
    assert done.output.startswith("1 identifiers in 1 profiles: 1 created, 0 merged, 0 split")
    [row] = delta.read(settings, "ops_runs").to_pylist()
    assert (row["stage"], row["rows_in"], row["rows_out"], row["status"]) == ("identity.run", 1, 1, "ok")
    assert json.loads(row["details"])["profiles"] == 1


def crowd(count: int, *links: int) -> list[tuple[str, str, dict[str, str]]]:
    """So many people with a browser and an account each, not yet seen together; `links` are seen together."""
    alone = [
        (f"{kind}{n}", "2017-05-01", {kind: f"{kind}{n}"}) for n in range(count) for kind in ("anonymous_id", "user_id")
    ]
    together = [(f"both{n}", "2017-06-01", {kind: f"{kind}{n}" for kind in ("anonymous_id", "user_id")}) for n in links]
    return alone + together


def test_a_run_that_would_merge_many_stops_for_a_person(settings: Settings) -> None:
    see(settings, *crowd(100))
    resolve(settings)
    see(settings, *crowd(100, *range(11)))
    before = state(settings)
    with pytest.raises(GateError, match=r"merge 11 and split 0 of 200 profiles.*--approve 11$"):
        resolve(settings, days=1)
    with pytest.raises(GateError):
        resolve(settings, days=1, approved=10)
    assert state(settings) == before
    assert resolve(settings, days=1, approved=11)["merges"] == 11
    assert resolve(settings, days=2)["merges"] == 0


def test_few_changes_and_a_share_pass_unasked(settings: Settings) -> None:
    see(settings, *crowd(100))
    resolve(settings)
    see(settings, *crowd(100, *range(10)))
    assert resolve(settings, days=1)["merges"] == 10
    larger = settings.model_copy(update={"identity_changes_share": 0.1})
    see(larger, *crowd(100, *range(29)))
    assert resolve(larger, days=2)["merges"] == 19


def test_values_blocked_for_one_type_point_at_nobody(settings: Settings) -> None:
    key = load_token_key(settings)
    none, phone = make_token("email", " None@None.com", key), make_token("phone", "(123) 456-7890", key)
    see(
        settings,
        ("e1", "2017-05-01", {"user_id": "u1", "email": none, "phone": phone}),
        ("e2", "2017-05-02", {"user_id": "u2", "email": none, "phone": phone}),
        ("e3", "2017-05-03", {"user_id": "none@none.com"}),
    )
    resolve(settings)
    assert set(mapping(settings)) == {"u1", "u2", "none@none.com"}
    assert len(set(mapping(settings).values())) == 3


@pytest.mark.parametrize("rule", [{"unique": True, "limit": 3}, {}, {"unique": False}])
def test_a_type_is_unique_or_has_a_limit(rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"unique|limit"):
        TypeRule.model_validate(rule)
