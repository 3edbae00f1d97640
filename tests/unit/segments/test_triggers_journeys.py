"""Journeys: pauses, ways, ends, entering again; and a stop between two tables, after which nothing is lost or doubled."""

import random
from datetime import timedelta
from typing import Any

import pytest
from triggerkit import ATTRIBUTES, START, World, book, journey, minutes, policy, told, trigger

from jobs.segments.language.model import Catalogue
from jobs.segments.triggers.desk import Brought, Desk
from jobs.segments.triggers.ways import way_findings

STEPS = {
    "first": {"send": "hello"},
    "pause": {"wait": "1 hour"},
    "fork": {"branch": [{"if": {"event": "Viewed"}, "then": "more"}], "otherwise": "less"},
    "more": {"send": "more", "then": "end"},
    "less": {"send": "less"},
    "rest": {"wait": "1 day"},
    "done": {"exit": "gave up"},
}
START_EVENT = {"event": "Signed"}


def world(**more: Any) -> World:
    made = World(book(trigger(START_EVENT, sends=False), journeys=[journey(STEPS, **more)]))
    made.person()
    return made


def stood(it: World) -> list[str]:
    return [
        f"{row['step_name'] or row['reason']} {(row['state_at'] - START) / timedelta(minutes=1):g}"
        for row in sorted(it.stood, key=lambda row: (row["entered_at"], row["sequence"]))
    ]


def test_a_way_by_a_rule_of_its_moment() -> None:
    it = world()
    it.happens("Signed", 0)
    it.happens("Viewed", 61)
    assert told(it.until(10)) == ["tested fire 0", "hello fire 0"]
    assert stood(it) == ["first 0", "pause 0"]
    assert it.desk.store.next_due() == START + minutes(60)
    assert told(it.until(10_000)) == ["less fire 60"]
    assert stood(it) == ["first 0", "pause 0", "rest 60", "gave up 1500"]


def test_the_other_way_ends_it() -> None:
    it = world()
    it.happens("Signed", 0)
    it.happens("Viewed", 59)
    assert told(it.until(10_000)) == ["tested fire 0", "hello fire 0", "more fire 60"]
    assert stood(it)[-1] == "finished 60"


def test_an_event_after_entering_ends_it_and_takes_back_what_waits() -> None:
    it = world(exit_on={"event": "Ordered"})
    it.happens("Ordered", -1, late=1)
    it.happens("Signed", 0)
    it.happens("Ordered", 30, late=5)
    assert told(it.until(10_000)) == ["tested fire 0", "hello fire 0", "hello cancel 35 journey_exit"]
    assert stood(it)[-1] == "exit_on 35"


def test_a_rule_that_ends_it_when_a_step_is_reached() -> None:
    it = world(exit_when={"event": "Ordered", "gte": 2})
    for after in (1, 2):
        it.happens("Ordered", after)
    it.happens("Signed", 0)
    assert told(it.until(10_000)) == ["tested fire 0", "hello fire 0", "hello cancel 60 journey_exit"]
    assert stood(it)[-1] == "exit_when 60"


@pytest.mark.parametrize(("re_entry", "entries"), [("once", [0]), ("always", [0, 1501]), ("26 hours", [0])])
def test_entering_again(re_entry: str, entries: list[int]) -> None:
    it = world(re_entry=re_entry)
    for after in (0, 30, 1501):
        it.happens("Signed", after)
    it.until(10_000)
    assert [line for line in stood(it) if line.startswith("first")] == [f"first {after}" for after in entries]


def test_a_trigger_that_was_held_starts_nothing() -> None:
    rules = policy(purposes={"marketing": {"consent": "has_marketing_consent"}})
    it = World(book(trigger(START_EVENT, sends=False), journeys=[journey(STEPS)], obeyed=rules))
    it.person(consent=False)
    it.happens("Signed", 0)
    assert told(it.until(100)) == ["tested hold 0 consent"]
    assert it.stood == []


def test_messages_of_journeys_obey_the_policy_and_the_journey_goes_on() -> None:
    rules = policy(purposes={"marketing": {"caps": [{"at_most": 1, "within": "1 day"}]}})
    it = World(book(trigger(START_EVENT, sends=False), journeys=[journey(STEPS)], obeyed=rules))
    it.person()
    it.happens("Signed", 0)
    assert told(it.until(10_000)) == ["tested fire 0", "hello fire 0", "less hold 60 frequency_cap"]
    assert stood(it)[-1] == "gave up 1500"


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ({"a": {"send": "x", "then": "b"}, "b": {"wait": "1 day", "then": "a"}}, "it never ends: a → b → a"),
        ({"a": {"send": "x", "then": "end"}, "b": {"send": "y"}}, "nobody reaches step b"),
        ({"apple": {"send": "x", "then": "aple"}}, "unknown step 'aple'. Did you mean 'apple'?"),
        ({"a": {"wait": "1 day"}}, "it sends nothing"),
        ({"end": {"send": "x"}}, "end is the end of every journey"),
    ],
)
def test_ways_that_lead_nowhere(steps: Any, message: str) -> None:
    assert message in " ".join(found.text for found in way_findings(journey(steps)))


PARTS = ("nothing", "decisions", "all")


def tale(seed: int) -> tuple[list[tuple[str, str, float, float]], list[int]]:
    pick = random.Random(seed)
    events = [
        (pick.choice("ab"), pick.choice(["Signed", "Added", "Viewed", "Ordered"]), pick.randrange(0, 900, 7),
         pick.choice([0, 0, 5, 50]))
        for _ in range(pick.randrange(2, 12))
    ]  # fmt: skip
    return sorted(events, key=lambda row: row[2] + row[3]), [*sorted(pick.sample(range(1, 2999), 6)), 3000]


def told_by(seed: int, *, stop: int | None = None, kept: str = "all") -> tuple[list[Any], list[Any]]:
    """What is told in the end. At the stop of that number the process ends when so much of its work was in the tables."""
    events, stops = tale(seed)
    rules = policy(purposes={"marketing": {"caps": [{"at_most": 3, "within": "5 hours"}]}})
    cart = {"event": "Added", "not_followed_by": {"event": ["Added", "Ordered"]}, "within": "1 hour"}
    written = book(
        trigger(START_EVENT, sends=False),
        trigger(cart, "cart", re_entry="1 hour"),
        journeys=[journey(STEPS, re_entry="always", exit_on={"event": "Ordered"})],
        obeyed=rules,
    )
    it = World(written)
    for profile in "ab":
        it.person(profile)
    for profile, name, after, late in events:
        it.happens(name, after, late=late, profile=profile)
    for place, after in enumerate(stops):
        it.until(after)
        if place == stop:
            restart(it, stops[place - 1] if place else 0, kept)
    plain = [[{**row, "known_at": None} for row in rows] for rows in (it.decided, it.stood)]
    return tuple(sorted(rows, key=str) for rows in plain)


def restart(it: World, before: int, kept: str) -> None:
    """A new desk, from what the tables hold, which looks again at what was since some time before."""
    connection, last = it.connection, it.now
    lost = [*(["standings"] if kept != "all" else []), *(["decisions"] if kept == "nothing" else [])]
    for table in lost:
        connection.execute(f"delete from {table} where known_at = $1", [last])
    it.decided = [row for row in it.decided if "decisions" not in lost or row["known_at"] != last]
    it.stood = [row for row in it.stood if "standings" not in lost or row["known_at"] != last]
    rows = {name: connection.execute(f"from {name}").to_arrow_table() for name in ("decisions", "standings")}
    it.desk = Desk(connection, it.book, Catalogue({}, {}, ATTRIBUTES))
    it.desk.store.create()
    for name, table in rows.items():
        it.desk.store.add(name, table)
    since = max(START, START + minutes(before) - timedelta(hours=1))
    outcome = it.desk.work(Brought(everyone=True), since, last)
    it.decided += outcome.decisions.to_pylist()
    it.stood += outcome.standings.to_pylist()


def test_a_journey_that_has_ended_is_not_begun_again_after_a_stop() -> None:
    it = world(re_entry="always", exit_on={"event": "Ordered"})
    it.happens("Signed", 1)
    it.happens("Ordered", 5)
    it.until(10)
    before = stood(it)
    restart(it, 0, "all")
    assert stood(it) == before == ["first 1", "pause 1", "exit_on 5"]


@pytest.mark.parametrize("seed", range(2))
def test_a_stop_between_two_tables_loses_and_doubles_nothing(seed: int) -> None:
    wanted = told_by(seed)
    for kept in PARTS:
        stop = random.Random(f"{seed} {kept}").randrange(6)
        assert told_by(seed, stop=stop, kept=kept) == wanted, f"seed {seed}, stop {stop}, kept {kept}"


@pytest.mark.parametrize("steps", [{"first": {"send": "first"}, "rest": {"wait": "1 hour"}}, None])
def test_who_waits_where_there_is_no_step_any_more_has_left(steps: dict[str, Any] | None) -> None:
    it = world()
    it.happens("Signed", 1)
    it.until(10)
    written = book(trigger(START_EVENT, sends=False), journeys=[journey(steps)] if steps else [])
    it.desk = Desk(it.connection, written, Catalogue({}, {}, ATTRIBUTES))
    it.until(5000)
    assert stood(it) == ["first 1", "pause 1", "step_gone 61"]
    assert it.desk.store.next_due() is None


def test_of_two_who_are_one_the_first_goes_on() -> None:
    it = world()
    it.person("bob")
    it.happens("Signed", 1)
    it.happens("Signed", 11, profile="bob")
    it.until(20)
    it.connection.execute("update known_events set profile_id = 'ann'")
    it.desk.store.move({"bob": "ann"})
    it.until(5000)
    entries = [(row["entered_at"], row["step_name"] or row["reason"]) for row in it.stood]
    first, second = ([step for at, step in entries if at == START + minutes(after)] for after in (1, 11))
    assert first[-1] == "gave up"
    assert second == ["first", "pause", "merged"]
