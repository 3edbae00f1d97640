"""`c360 identity undo` and `rebuild` on tiny lakes: what comes back, what stays apart, kills, and a world without the merge."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lakekit import Lake, write_lake
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import GateError, PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.identity import runner
from jobs.identity.commands import group
from jobs.identity.explain import explain_lines
from jobs.identity.undo import Undone, undo
from jobs.lake import delta
from jobs.lake.runs import Stage

Sighting = tuple[str, str, dict[str, str]]
MAPS = ("profile_identifiers", "profile_redirects")
TABLES = ("identity_ledger", "identity_assignments", "profile_redirects", "identity_edges", "profile_identifiers")
ANN, BOB = {"user_id": "ann"}, {"user_id": "bob"}


def home(path: Path) -> Settings:
    return make_settings(path, identity_changes=1000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home(tmp_path / "home")


def at(settings: Settings, day: int) -> Context:
    assert settings.now is not None
    return Context(settings, Clock(settings.now + timedelta(days=day)), "test")


def see(settings: Settings, sightings: list[Sighting]) -> None:
    lake = Lake()
    for event_id, when, ids in sightings:
        lake.event("sim_web", "page", when, ids, event_id=event_id)
    write_lake(settings, lake)


def resolve(settings: Settings, day: int, **options: Any) -> dict[str, int]:
    found = runner.run(at(settings, day), Stage("identity.run"), **options)
    in_step(settings)
    return found


def undone(settings: Settings, day: int, merge_id: str, **options: Any) -> Undone:
    found = undo(at(settings, day), Stage("identity.undo"), merge_id, **options)
    in_step(settings)
    return found


def in_step(settings: Settings) -> None:
    """Every id that was ever given out lives or leads to one that does, and none does both; each run has its own version."""
    alive, gone = set(mapping(settings).values()), redirects(settings)
    assert not alive & set(gone)
    assert set(gone.values()) <= alive
    rows = delta.read(settings, "identity_assignments").to_pylist()
    assert {row["profile_id"] for row in rows} <= alive | set(gone)
    keys = [(row["identifier_type"], row["identifier_value"], row["ledger_version"]) for row in rows]
    assert len(keys) == len(set(keys))


def mapping(settings: Settings) -> dict[str, str]:
    rows = delta.read(settings, "profile_identifiers").to_pylist()
    return {row["identifier_value"]: row["profile_id"] for row in rows}


def redirects(settings: Settings) -> dict[str, str]:
    rows = delta.read(settings, "profile_redirects").to_pylist()
    return {row["from_profile_id"]: row["to_profile_id"] for row in rows}


def entries(settings: Settings, action: str) -> list[dict[str, Any]]:
    rows = [row for row in delta.read(settings, "identity_ledger").to_pylist() if row["action"] == action]
    return sorted(rows, key=lambda row: row["ledger_version"])


@contextmanager
def killed_at(table: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The first write to the table is the end."""

    def killed(writer: Any) -> Any:
        def write(settings: Settings, name: str, *rest: Any, **more: Any) -> Any:
            if name == table:
                raise KeyboardInterrupt
            return writer(settings, name, *rest, **more)

        return write

    with monkeypatch.context() as patch:
        patch.setattr(delta, "append", killed(delta.append))
        patch.setattr(delta, "replace", killed(delta.replace))
        with pytest.raises(KeyboardInterrupt):
            yield


TWO: list[Sighting] = [
    ("e1", "2017-05-01", ANN | {"anonymous_id": "a1"}),
    ("e2", "2017-05-02", BOB | {"anonymous_id": "b1"}),
]
WRONG: Sighting = ("e3", "2017-06-01", {"user_id": "ann", "anonymous_id": "b1"})


@pytest.fixture
def merged(settings: Settings) -> tuple[dict[str, str], str]:
    """What was before the merge, and the merge."""
    see(settings, TWO)
    resolve(settings, 0)
    before = mapping(settings)
    see(settings, [*TWO, WRONG])
    resolve(settings, 1)
    [merge] = entries(settings, "merge")
    assert len(set(mapping(settings).values())) == 1
    return before, merge["entry_id"]


def test_both_profiles_are_back_under_their_ids_and_stay_apart(
    settings: Settings, merged: tuple[dict[str, str], str]
) -> None:
    before, merge_id = merged
    done = undone(settings, 2, merge_id[:8])
    assert mapping(settings) == before
    assert redirects(settings) == {}
    assert (done.kept_id, done.parted_id) == (done.kept_now, done.parted_now) == (before["ann"], before["bob"])
    [entry] = entries(settings, "undo")
    assert (entry["profile_id"], entry["other_profile_id"]) == (before["ann"], before["bob"])
    assert merge_id in entry["evidence"]
    state = {name: delta.version(settings, name) for name in (*MAPS, "identity_ledger", "identity_assignments")}
    assert resolve(settings, 3)["undos"] == 0
    undone(settings, 4, merge_id)  # again: nothing more
    assert {name: delta.version(settings, name) for name in state} == state
    see(settings, [*TWO, WRONG, ("e4", "2017-07-01", ANN | {"anonymous_id": "b1"}), ("e5", "2017-07-02", ANN | BOB)])
    assert resolve(settings, 5)["merges"] == 0
    assert mapping(settings) == before
    text = "\n".join(explain_lines(settings, before["ann"], 25))
    assert "CUT: a person has undone the merge of the two" in text
    cut = [row for row in delta.read(settings, "identity_edges").to_pylist() if not row["is_kept"]]
    assert {row["cut_reason"] for row in cut} == {"separation"}
    assert {(row["stronger_value"], row["weaker_value"]) for row in cut} == {("ann", "b1")}


def test_what_is_seen_with_both_sides_stands_alone(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    before, merge_id = merged
    undone(settings, 2, merge_id)
    both = [("e6", "2017-08-01", ANN | {"anonymous_id": "new"}), ("e7", "2017-08-02", BOB | {"anonymous_id": "new"})]
    see(settings, [*TWO, WRONG, *both])
    resolve(settings, 3)
    found = mapping(settings)
    assert {name: found[name] for name in before} == before
    assert found["new"] not in before.values()


def test_what_came_since_goes_with_its_side(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    before, merge_id = merged
    later = [("e8", "2017-09-01", BOB | {"anonymous_id": "b2"}), ("e9", "2017-09-02", ANN | {"device_id": "d1"})]
    see(settings, [*TWO, WRONG, *later])
    resolve(settings, 2)
    undone(settings, 3, merge_id)
    assert mapping(settings) == before | {"b2": before["bob"], "d1": before["ann"]}


def test_profiles_merged_into_the_one_that_parts_follow_it(settings: Settings) -> None:
    """carl into bob, bob into ann; without the second, carl is bob's."""
    carl: Sighting = ("e0", "2017-05-03", {"user_id": "carl", "anonymous_id": "c1"})
    see(settings, [*TWO, carl])
    resolve(settings, 0)
    before = mapping(settings)
    link: Sighting = ("e10", "2017-05-20", {"user_id": "bob", "anonymous_id": "c1"})
    see(settings, [*TWO, carl, link])
    resolve(settings, 1)
    see(settings, [*TWO, carl, link, WRONG])
    resolve(settings, 2)
    assert redirects(settings) == {before["carl"]: before["ann"], before["bob"]: before["ann"]}
    undone(settings, 3, entries(settings, "merge")[1]["entry_id"])
    assert redirects(settings) == {before["carl"]: before["bob"]}
    assert mapping(settings) == before | {"carl": before["bob"], "c1": before["bob"]}


def test_a_merge_after_it_is_made_again_on_its_own_grounds(settings: Settings) -> None:
    """bob into ann, then ann into zoe, who is older, because of bob. Without the first, bob is zoe's and ann is ann."""
    zoe: Sighting = ("e11", "2017-01-01", {"user_id": "zoe", "anonymous_id": "z1"})
    see(settings, [zoe, *TWO])
    resolve(settings, 0)
    before = mapping(settings)
    see(settings, [zoe, *TWO, WRONG])
    resolve(settings, 1)
    see(settings, [zoe, *TWO, WRONG, ("e12", "2017-07-01", {"user_id": "bob", "anonymous_id": "z1"})])
    resolve(settings, 2)
    assert set(mapping(settings).values()) == {before["zoe"]}
    undone(settings, 3, entries(settings, "merge")[0]["entry_id"])
    assert mapping(settings) == before | {"bob": before["zoe"], "b1": before["zoe"]}
    assert redirects(settings) == {before["bob"]: before["zoe"]}


@pytest.mark.parametrize("table", TABLES)
def test_an_undoing_that_was_killed_is_carried_out_by_the_next_run(
    settings: Settings, merged: tuple[dict[str, str], str], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, merge_id = merged
    with killed_at(table, monkeypatch):
        undone(settings, 2, merge_id)
    resolve(settings, 3)
    assert mapping(settings) == before
    assert redirects(settings) == {}
    assert len(entries(settings, "undo")) == 1


@pytest.mark.parametrize("table", TABLES[1:])
@pytest.mark.parametrize("more", [[], [("e33", "2017-06-02", {"user_id": "ann", "anonymous_id": "b1"})]])
def test_a_merge_of_a_run_that_was_killed_can_be_undone(
    settings: Settings, table: str, more: list[Sighting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the run after the kill told the merge once more, with another event as evidence."""
    see(settings, TWO)
    resolve(settings, 0)
    before = mapping(settings)
    see(settings, [*TWO, WRONG])
    with killed_at(table, monkeypatch):
        resolve(settings, 1)
    see(settings, [*TWO, WRONG, *more])
    if more:
        resolve(settings, 2)
    assert len(entries(settings, "merge")) == 1
    undone(settings, 3, entries(settings, "merge")[0]["entry_id"])
    assert mapping(settings) == before
    assert redirects(settings) == {}


def test_an_identifier_that_came_between_two_ledger_entries_counts_to_its_side(settings: Settings) -> None:
    late: Sighting = ("e8", "2017-05-09", BOB | {"anonymous_id": "b2"})
    see(settings, TWO)
    resolve(settings, 0)
    see(settings, [*TWO, late])
    resolve(settings, 1)  # an assignment, and nothing for the ledger
    before = mapping(settings)
    see(settings, [*TWO, late, WRONG])
    resolve(settings, 2)
    undone(settings, 3, entries(settings, "merge")[0]["entry_id"])
    see(settings, [*TWO, late, WRONG, ("e9", "2017-09-01", ANN | {"anonymous_id": "b2"})])
    resolve(settings, 4)
    assert mapping(settings) == before
    resolve(settings, 5, from_ledger=True)
    assert mapping(settings) == before


def test_undoing_one_merge_tells_nothing_new_of_the_others(settings: Settings) -> None:
    own = [*TWO, *((f"p{n}", "2017-05-05", {"user_id": n, "anonymous_id": f"{n}1"}) for n in ("dave", "eve", "fred"))]
    steps: list[Sighting] = [
        WRONG,
        ("da", "2017-07-01", {"user_id": "ann", "anonymous_id": "dave1"}),
        ("da2", "2017-07-02", {"user_id": "ann", "anonymous_id": "dave1"}),
        ("ef", "2017-07-03", {"user_id": "eve", "anonymous_id": "fred1"}),
    ]
    see(settings, own)
    resolve(settings, 0)
    see(settings, [*own, *steps[:1]])
    resolve(settings, 1)
    undone(settings, 2, entries(settings, "merge")[0]["entry_id"])
    for number in (2, 3, 4):
        see(settings, [*own, *steps[:number]])
        resolve(settings, number + 1)
    merges = entries(settings, "merge")
    undone(settings, 7, merges[-1]["entry_id"])
    assert entries(settings, "merge") == merges
    assert len(entries(settings, "undo")) == 2
    undone(settings, 8, merges[-2]["entry_id"])
    assert redirects(settings) == {}


def test_an_id_comes_back_also_where_rules_have_parted_the_two_since(
    settings: Settings, merged: tuple[dict[str, str], str]
) -> None:
    before, merge_id = merged
    cards = [(f"c{n}", "2017-07-01", {"user_id": n, "loyalty_id": f"card of {n}"}) for n in ("ann", "bob")]
    see(settings, [*TWO, WRONG, *cards])
    resolve(settings, 2)
    other = mapping(settings)["bob"]
    assert other not in before.values()
    done = undone(settings, 3, merge_id)
    assert mapping(settings)["bob"] == before["bob"] == done.parted_now
    assert redirects(settings)[other] == before["bob"]


@pytest.mark.parametrize("from_ledger", [False, True])
def test_rebuild_keeps_the_older_of_two_as_a_run_does(settings: Settings, from_ledger: bool) -> None:
    two = [
        ("e1", "2017-05-01", {"user_id": "zed", "anonymous_id": "z1"}),
        ("e2", "2017-05-02", {"user_id": "abe", "anonymous_id": "b1"}),
    ]
    see(settings, two)
    resolve(settings, 0)
    older = mapping(settings)["zed"]
    see(settings, [*two, ("e3", "2017-06-01", {"user_id": "zed", "anonymous_id": "b1"})])
    resolve(settings, 1, from_ledger=from_ledger)
    assert set(mapping(settings).values()) == {older}


def test_a_lost_map_costs_nobody_the_id(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    before = mapping(settings)
    old: Sighting = ("old", "2017-01-01", ANN | {"device_id": "d1"})  # older than what the id was made of
    see(settings, [*TWO, WRONG, old])
    delta.replace(settings, "profile_identifiers", delta.read(settings, "profile_identifiers").slice(0, 0))
    resolve(settings, 2)
    assert mapping(settings) == before | {"d1": before["ann"]}
    delta.replace(settings, "identity_assignments", delta.read(settings, "identity_assignments").slice(0, 0))
    with pytest.raises(PermanentError, match="run c360 identity run first"):
        runner.run(at(settings, 3), Stage("identity.rebuild"), from_ledger=True)


def test_an_undoing_that_the_guard_stops_has_written_nothing(
    settings: Settings, merged: tuple[dict[str, str], str]
) -> None:
    before, merge_id = merged
    strict = settings.model_copy(update={"identity_changes": 0, "identity_changes_share": 0.0})
    more = [(f"p{n}", "2017-05-05", {"user_id": n, "anonymous_id": f"{n}1"}) for n in ("dave", "eve")]
    see(strict, [*TWO, WRONG, *more])
    resolve(strict, 2)
    see(strict, [*TWO, WRONG, *more, ("de", "2017-08-01", {"user_id": "dave", "anonymous_id": "eve1"})])
    with pytest.raises(GateError, match=f"c360 identity undo {merge_id} --approve 1$"):
        undone(strict, 3, merge_id)
    assert delta.read(strict, "identity_separations").num_rows == 0
    undone(strict, 4, merge_id, approved=1)
    assert {name: mapping(strict)[name] for name in before} == before


def test_a_merge_is_named_by_its_beginning(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    [create, _] = entries(settings, "create")
    for wrong, said in {
        "abcdef12": "no merge 'abcdef12'",
        merged[1][:5]: "no merge",
        create["entry_id"]: "it is a create",
    }.items():
        with pytest.raises(UsageError, match=said):
            undone(settings, 2, wrong)


def test_a_merge_from_before_there_was_an_account_cannot_be_undone(
    settings: Settings, merged: tuple[dict[str, str], str]
) -> None:
    empty = delta.read(settings, "identity_assignments").slice(0, 0)
    delta.replace(settings, "identity_assignments", empty)
    with pytest.raises(PermanentError, match="before c360 kept account of it"):
        undone(settings, 2, merged[1])
    assert delta.read(settings, "identity_separations").num_rows == 0
    resolve(settings, 3)  # takes up what there is as of version 0, and merges from then on can be undone
    assert {row["ledger_version"] for row in delta.read(settings, "identity_assignments").to_pylist()} == {0}


def test_rebuild_gives_the_same_map(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    undone(settings, 2, merged[1])
    before = {name: delta.read(settings, name).to_pylist() for name in MAPS}
    for name in MAPS:
        delta.replace(settings, name, delta.read(settings, name).slice(0, 0))
    assert resolve(settings, 3, from_ledger=True)["creates"] == 0
    assert {name: delta.read(settings, name).to_pylist() for name in MAPS} == before


def world(draw: random.Random) -> tuple[list[Sighting], list[Sighting]]:
    """People with their own identifiers, seen in the first half; then links between some of them, a day each."""
    people = range(draw.randint(4, 9))
    own = [
        (f"p{n}{kind}", f"2017-01-{draw.randint(1, 28):02d}", {"user_id": f"u{n}", kind: f"{kind}{n}"})
        for n in people
        for kind in ("anonymous_id", "device_id")
    ]
    links = []
    for number in range(draw.randint(2, 6)):
        one, other = draw.sample(people, 2)
        kind = draw.choice(("anonymous_id", "device_id"))
        links.append((f"l{number}", f"2017-06-{number + 1:02d}", {"user_id": f"u{one}", kind: f"{kind}{other}"}))
    return own, links


def parts(settings: Settings) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for value, profile_id in mapping(settings).items():
        found.setdefault(profile_id, set()).add(value)
    return {frozenset(part) for part in found.values()}


def with_undoing(settings: Settings, own: list[Sighting], links: list[Sighting], draw: random.Random) -> None:
    for step in range(len(links) + 1):
        see(settings, [*own, *links[:step]])
        resolve(settings, step)
    merges = entries(settings, "merge")
    for number, merge in enumerate(draw.sample(merges, min(2, len(merges)))):
        undone(settings, 20 + number, merge["entry_id"])


def without(settings: Settings, own: list[Sighting], links: list[Sighting], separations: Any) -> bool:
    """Whether profiles only grew: a link that is cut when a later one makes it ambiguous leaves its traces in the ids."""
    see(settings, own)
    resolve(settings, 0)
    delta.append(settings, "identity_separations", separations)
    grew, before = True, parts(settings)
    for step in range(1, len(links) + 1):
        see(settings, [*own, *links[:step]])
        resolve(settings, step)
        now = parts(settings)
        grew &= all(any(part <= larger for larger in now) for part in before)
        before = now
    return grew


def test_it_is_as_if_the_undone_merges_had_never_happened(tmp_path: Path) -> None:
    """One world merges, goes on, and undoes at the end; the other was told the same separations before the first link."""
    grown = 0
    for seed in (0, 1, 5, 8):
        draw = random.Random(seed)
        own, links = world(draw)
        first, second = home(tmp_path / f"first{seed}"), home(tmp_path / f"second{seed}")
        with_undoing(first, own, links, draw)
        grew = without(second, own, links, delta.read(first, "identity_separations"))
        assert parts(first) == parts(second), f"seed {seed}"
        if grew:
            grown += 1
            assert (seed, mapping(first)) == (seed, mapping(second))
            # Ids that only the first world ever gave out, to a part that was split off, lead on to where they went.
            given = {row["profile_id"] for row in delta.read(second, "identity_assignments").to_pylist()}
            assert {gone: alive for gone, alive in redirects(first).items() if gone in given} == redirects(second)
    assert grown >= 2


def said(settings: Settings, *arguments: str) -> str:
    done = CliRunner().invoke(group, list(arguments), obj=at(settings, 2))
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands_say_what_they_did(settings: Settings, merged: tuple[dict[str, str], str]) -> None:
    before, merge_id = merged
    assert f"merge {merge_id[:12]}" in said(settings, "explain", before["bob"])
    told = said(settings, "undo", merge_id[:12])
    assert told == f"the two sides of the merge are apart, and stay apart: {before['ann']} and {before['bob']}\n"
    assert said(settings, "rebuild") == "4 identifiers in 2 profiles; 0 created\n"
    assert said(settings, "run").startswith("4 identifiers in 2 profiles: 0 created, 0 merged, 0 split")
    assert mapping(settings) == before
    for command in ("undo", "rebuild", "run"):
        assert "Examples:" in said(settings, command, "--help")
