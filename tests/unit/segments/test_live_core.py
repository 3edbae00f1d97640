"""The evaluator's core: every cause of a change, and members equal to those of the batch at every moment asked for."""

import random
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from livekit import T0, at, catalogue, event, events, told

from jobs.core.errors import PermanentError
from jobs.segments.compile.program import Program
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Kind
from jobs.segments.live import core, shelf
from jobs.segments.live.core import Last, Live
from jobs.segments.live.engines import LocalRunner
from jobs.segments.live.state import Arrivals

SEEDS = 2
BUYERS = catalogue({"buyers": "{event: Order Completed, last: 60 minutes}"})
NOBODY = pa.table({"segment": pa.array([], pa.string()), "profile_id": pa.array([], pa.string()),
                   "is_simulated": pa.array([], pa.bool_())})  # fmt: skip


@pytest.fixture
def connection() -> Iterator[Any]:
    found = duckdb.connect(config={"threads": 1})
    found.execute("set TimeZone = 'UTC'")
    yield found
    found.close()


def test_an_event_lets_in_and_time_lets_out(connection: Any) -> None:
    live = Live(connection, BUYERS)
    assert live.begin(T0, Arrivals()).num_rows == 0
    changes = live.advance(at(2), Arrivals(events([event("p", "Order Completed", 1)])))
    assert told(changes) == [("p", "enters", "buyers", 1, "event")]
    assert changes.column("event_keys").to_pylist() == [["p-Order Completed-1"]]
    assert live.next_due() == at(61)
    assert live.advance(at(60)).num_rows == 0
    changes = live.advance(at(90))
    assert told(changes) == [("p", "leaves", "buyers", 61, "time")]
    assert changes.column("event_keys").to_pylist() == [[]]
    assert live.next_due() is None


def test_what_was_missed_by_the_stream_is_told_at_its_own_time(connection: Any) -> None:
    """A call long after: the event was received, let in, and has left again since."""
    live = Live(connection, BUYERS)
    live.begin(T0, Arrivals())
    changes = live.advance(at(500), Arrivals(events([event("p", "Order Completed", 1)])))
    assert told(changes) == [("p", "enters", "buyers", 1, "event"), ("p", "leaves", "buyers", 61, "time")]
    assert set(changes.column("known_at").to_pylist()) == {at(500).replace(tzinfo=None)}


def test_an_event_of_tomorrow_waits(connection: Any) -> None:
    live = Live(connection, BUYERS)
    live.begin(T0, Arrivals())
    orders = [
        event("p", "Order Completed", 1),
        event("p", "Order Completed", 30, key="later"),
        event("q", "Order Completed", 30),
    ]
    assert told(live.advance(at(2), Arrivals(events(orders)))) == [("p", "enters", "buyers", 1, "event")]
    assert told(live.advance(at(70))) == [("q", "enters", "buyers", 30, "event")]
    assert [change[0] for change in told(live.advance(at(100)))] == ["p", "q"]


def test_an_event_that_comes_twice_is_one(connection: Any) -> None:
    live = Live(connection, catalogue({"twice": "{event: Order Completed, gte: 2}"}))
    arrivals = Arrivals(events([event("p", "Order Completed", 1)]))
    live.begin(T0, Arrivals())
    assert live.advance(at(2), arrivals).num_rows == 0
    assert live.advance(at(3), arrivals).num_rows == 0
    assert live.members("twice") == []


def test_only_events_that_a_segment_reads_are_named_as_its_cause(connection: Any) -> None:
    """The page is seen at the very moment at which the order is too long ago."""
    live = Live(
        connection, catalogue({"buyers": "{event: Order Completed, last: 1 hour}", "seen": "{event: Page Viewed}"})
    )
    live.begin(T0, Arrivals(events([event("p", "Order Completed", -59)])))
    changes = live.advance(at(2), Arrivals(events([event("p", "Page Viewed", 1)])))
    assert told(changes) == [("p", "leaves", "buyers", 1, "time"), ("p", "enters", "seen", 1, "event")]


def test_a_profile_of_unknown_events_exists(connection: Any) -> None:
    live = Live(connection, catalogue({"quiet": "{none: [{event: Order Completed}]}"}))
    live.begin(T0, Arrivals())
    changes = live.advance(at(2), Arrivals(events([event("p", "Page Viewed", 1)])))
    assert told(changes) == [("p", "enters", "quiet", 1, "profile")]


GOLD = catalogue({"gold": "{trait: tier, eq: gold}"}, attributes={"tier": Kind.TEXT})


def tiers(**found: str) -> pa.Table:
    return pa.table({"profile_id": list(found), "is_simulated": [True] * len(found), "tier": list(found.values())})


def test_a_new_build_changes_attributes(connection: Any) -> None:
    live = Live(connection, GOLD)
    assert told(live.begin(T0, Arrivals(attributes=tiers(p="gold", q="tin")))) == [
        ("p", "enters", "gold", 0, "definition")
    ]
    changes = live.advance(at(5), Arrivals(attributes=tiers(p="tin", q="gold")))
    assert told(changes) == [("p", "leaves", "gold", 5, "profile"), ("q", "enters", "gold", 5, "profile")]
    assert set(changes.column("is_simulated").to_pylist()) == {True}


def test_who_is_merged_away_leaves_and_brings_the_events(connection: Any) -> None:
    live = Live(
        connection, catalogue({"twice": "{event: Order Completed, gte: 2}", "once": "{event: Order Completed}"})
    )
    live.begin(T0, Arrivals(events([event("p", "Order Completed", -2), event("q", "Order Completed", -1)])))
    moved = pa.table({"event_key": ["q-Order Completed--1"], "profile_id": ["p"], "is_simulated": [True]})
    changes = live.advance(at(5), Arrivals(moved=moved, gone=("q",)))
    assert sorted(told(changes)) == [("p", "enters", "twice", 5, "profile"), ("q", "leaves", "once", 5, "profile")]
    assert live.members("once") == ["p"]
    assert set(changes.column("is_simulated").to_pylist()) == {True}


def test_events_on_the_shelf_change_hands_too(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "WORTH", 0)
    monkeypatch.setattr(shelf.Shelf, "_are_few", lambda *_: True)
    live = Live(connection, catalogue({"twice": "{event: Order Completed, gte: 2}"}))
    live.begin(T0, Arrivals(events([event(f"p{number}", "Order Completed", -1) for number in range(20)])))
    live.advance(at(1), Arrivals(events([event("p2", "Page Viewed", 1)])))
    assert live.state.shelf.rows is not None
    moved = pa.table({"event_key": ["p1-Order Completed--1"], "profile_id": ["p0"], "is_simulated": [True]})
    assert told(live.advance(at(5), Arrivals(moved=moved))) == [("p0", "enters", "twice", 5, "profile")]


def test_too_many_due_times_are_cut_short_and_members_are_right(
    connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "MOST_ROUNDS", 3)
    live = Live(connection, BUYERS)
    live.begin(T0, Arrivals(events([event("p", "Order Completed", -minute) for minute in range(1, 30)])))
    assert told(live.advance(at(500))) == [("p", "leaves", "buyers", 500, "time")]
    assert live.rounds == 4


def test_a_due_time_that_does_not_lie_ahead_is_a_defect_not_an_endless_loop(connection: Any) -> None:
    class Stuck(LocalRunner):
        def run(self, connection: Any, program: Any) -> None:
            super().run(connection, program)
            connection.execute("update result set due_at = as_of")

    live = Live(connection, BUYERS, runner=Stuck())
    with pytest.raises(PermanentError, match="a due time lies not after its moment"):
        live.begin(T0, Arrivals(events([event("p", "Order Completed", -1)])))


TOP = catalogue({"top": "{trait: spent, top_percent: 50}"}, {"spent": "{event: Order Completed, sum: total}"})


def test_a_percentile_is_taken_at_the_start_of_the_day(connection: Any) -> None:
    live = Live(connection, TOP)
    live.begin(
        T0, Arrivals(events([event("p", "Order Completed", -1, total=1), event("q", "Order Completed", -1, total=2)]))
    )
    assert live.members("top") == []
    assert told(live.advance(at(900))) == [("q", "enters", "top", 720, "time")]
    changes = live.advance(at(910), Arrivals(events([event("p", "Order Completed", 901, total=9)])))
    assert changes.num_rows == 0


def test_an_event_that_comes_late_over_midnight_moves_the_border(connection: Any) -> None:
    """Received before the day began, delivered after its percentile was taken."""
    live = Live(connection, TOP)
    live.begin(
        T0, Arrivals(events([event("p", "Order Completed", -1, total=1), event("q", "Order Completed", -1, total=2)]))
    )
    live.advance(at(721))
    changes = live.advance(at(722), Arrivals(events([event("p", "Order Completed", 719, total=9)])))
    assert sorted(told(changes)) == [("p", "enters", "top", 719, "event"), ("q", "leaves", "top", 722, "others")]


def recovered(connection: Any, live: Live, last: Last, history: list[Any], minutes: float) -> list[Any]:
    found = Live(connection, live.catalogue)
    return told(found.recover(last, at(minutes), Arrivals(events(history))))


def held_by(live: Live) -> pa.Table:
    found = live.memberships()
    return found.append_column("is_simulated", pa.array([True] * found.num_rows, pa.bool_()))


def test_after_a_stop_it_goes_on_where_it_was(connection: Any) -> None:
    history = [event("p", "Order Completed", 1)]
    live = Live(connection, BUYERS)
    live.begin(T0, Arrivals())
    live.advance(at(2), Arrivals(events(history)))
    last = Last(at(2), held_by(live), live.versions)
    assert recovered(connection, live, last, history, 20) == []
    assert recovered(connection, live, last, history, 90) == [("p", "leaves", "buyers", 61, "time")]
    history.append(event("q", "Order Completed", 5))
    assert recovered(connection, live, last, history, 20) == [("q", "enters", "buyers", 5, "event")]


def test_after_a_stop_another_definition_is_the_cause(connection: Any) -> None:
    history = [event("p", "Order Completed", 1)]
    live = Live(
        connection,
        catalogue({"buyers": "{event: Order Completed, last: 60 minutes}", "gone": "{event: Order Completed}"}),
    )
    live.begin(T0, Arrivals())
    live.advance(at(2), Arrivals(events(history)))
    last = Last(at(2), held_by(live), live.versions)
    other = Live(connection, catalogue({"buyers": "{event: Order Completed, gte: 2}"}))
    changes = other.recover(last, at(3), Arrivals(events(history)))
    assert told(changes) == [("p", "leaves", "buyers", 3, "definition"), ("p", "leaves", "gone", 3, "definition")]
    assert changes.column("definition_version").to_pylist() == [other.versions["buyers"], live.versions["gone"]]


VARIED = catalogue(
    {
        "recent": "{event: [Order Completed, Product Viewed], last: 3 hours, gte: 2}",
        "spender": "{event: Order Completed, sum: total, last: 1 day, gte: 10}",
        "today": "{rule: {event: Product Viewed, this: day}, time_zone: America/Sao_Paulo}",
        "left": "{event: Product Added, not_followed_by: {event: Order Completed}, within: 1 hour, last: 2 days}",
        "path": "{sequence: [{event: Product Viewed}, {event: Product Added, within: 2 hours}], last: 6 hours}",
        "top": "{rule: {trait: spent, top_percent: 30}, time_zone: Asia/Kathmandu}",
        "low": "{trait: points, bottom_percent: 50}",
        "silent": "{all: [{none: [{event: Product Viewed, last: 1 day}]}, {trait: seen, older_than: 12 hours}]}",
        "child": "{rule: {not: {segment: recent}}, parent: today, holdout: 0.3}",
    },
    {
        "spent": "{event: Order Completed, sum: total}",
        "seen": "{event: [Product Viewed, Product Added], time: last}",
        "points": "{score: [{when: {event: Product Viewed, last: 1 day}, points: 3},"
        " {each: {event: Product Added}, points: 2, at_most: 9}]}",
    },
)


def batch(connection: Any, definitions: Catalogue, history: list[Any], profiles: list[str], minutes: float) -> set[Any]:
    """(segment, profile) of the members, by everybody's evaluation at one moment."""
    connection.register("rows", events(history))
    times = "cast(effective_at as timestamp) as effective_at, cast(received_at as timestamp) as received_at"
    connection.execute(f"create or replace table eval_events as select * replace ({times}) from rows")
    connection.execute("create or replace table attributes as select unnest($1) as profile_id", [profiles])
    moment = at(minutes).replace(tzinfo=None)
    connection.execute("create or replace table asked as select profile_id, $1 as as_of from attributes", [moment])
    found = Evaluator(definitions).evaluate(connection).to_pylist()
    return {(name, row["profile_id"]) for row in found for name in definitions.segments if row[f"in_{name}"]}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_members_equal_the_batch_at_every_moment(connection: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come late, in batches of any size, some twice; and now and then nothing comes but time. With an odd seed they are
    read from the shelf, which is for many."""
    if seed % 2:
        monkeypatch.setattr(shelf, "WORTH", 5)
        monkeypatch.setattr(shelf.Shelf, "_are_few", lambda *_: True)
    chance = random.Random(seed)
    names = ("Product Viewed", "Product Added", "Order Completed")
    history = [
        event(
            f"p{chance.randrange(12)}",
            chance.choice(names),
            chance.randrange(0, 3000),
            key=str(n),
            late=chance.choice((0, 0, 0, 1, 600)),
            total=chance.randrange(12),
        )
        for n in range(60)
    ]
    other = duckdb.connect()
    other.execute("set TimeZone = 'UTC'")
    live, seen, minutes = Live(connection, VARIED), [], 0.0
    live.begin(T0, Arrivals())
    while minutes < 5000:
        before, minutes = minutes, minutes + chance.choice((1, 30, 200, 600, 2000))
        moved = [e for e in seen if chance.random() < 0.05]
        for one in moved:
            one["profile_id"] = f"p{chance.randrange(12)}"
        live.advance(at(minutes), Arrivals(moved=events(moved))) if moved else None
        lag = chance.choice((0, 5))  # what was received in the last minutes has not arrived yet
        come = [e for e in history if e not in seen and e["received_at"] <= at(minutes - lag)]
        seen += come
        live.advance(at(minutes), Arrivals(events(come + come[:1])))
        found = {(row["segment"], row["profile_id"]) for row in live.memberships().to_pylist()}
        profiles = sorted({e["profile_id"] for e in seen})
        assert found == batch(other, VARIED, seen, profiles, minutes), f"between {before} and {minutes} minutes"
    assert (live.state.shelf.rows is not None) == bool(seed % 2)
    other.close()


class Vacuuming(LocalRunner):
    """DuckDB moves rows together in the middle of a call, as it may whenever it likes: a rowid is no place to remember."""

    def run(self, connection: Any, program: Program) -> None:
        super().run(connection, program)
        connection.execute("checkpoint")


def test_a_profile_is_held_once_whenever_rows_are_moved(connection: Any) -> None:
    chance, live = random.Random(1), Live(connection, BUYERS, runner=Vacuuming())
    live.begin(T0, Arrivals())
    for minute in range(1, 6):
        come = [event(f"p{chance.randrange(5000)}", "Order Completed", minute, key=f"{minute}-{n}") for n in range(800)]
        live.advance(at(minute), Arrivals(events(come)))
        rows, profiles = connection.execute("select count(*), count(distinct profile_id) from held").fetchone()
        assert rows == profiles
