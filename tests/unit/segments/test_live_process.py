"""The evaluator over a lake, without Spark: identity, builds, a start after a stop, and the replay against the batch."""

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from livekit import T0, at, catalogue
from settingskit import make_settings

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import GateError, RetryableError, UsageError
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.locks import segments_lock
from jobs.lake.schema import arrow_schema
from jobs.segments.language.traits import Kind
from jobs.segments.live import ledger, replay
from jobs.segments.live.core import Live
from jobs.segments.live.process import Process, processed_version
from jobs.segments.live.replay import run_replay, sampled
from jobs.segments.live.stream import run_stream
from jobs.warehouse import sidecar
from jobs.warehouse.paths import sidecar_file
from jobs.warehouse.sidecar import Sidecar

BUYERS = catalogue(
    {"buyers": "{event: Order Completed, last: 60 minutes}", "twice": "{event: Order Completed, gte: 2}"}
)
CHANGE = {"segment": "buyers", "profile_id": "p", "is_entry": True, "valid_at": T0, "known_at": T0, "evaluated_at": T0,
          "cause": "time", "event_keys": [], "definition_version": "v", "is_simulated": True}  # fmt: skip
ANNA, CARD = founded_profile_id("user_id", "anna"), founded_profile_id("loyalty_id", "7")


def add(settings: Settings, table: str, rows: list[dict[str, Any]]) -> None:
    contract = lake_table(table).contract
    plain = dict.fromkeys(contract.column_names)
    delta.append(settings, table, pa.Table.from_pylist([plain | row for row in rows], schema=arrow_schema(contract)))


def order(minutes: float, late: float = 0, name: str = "Order Completed", **identifiers: str) -> dict[str, Any]:
    """An event of silver; identifiers by the column that holds each."""
    key = f"{'-'.join(identifiers.values())}-{name}-{minutes}"
    times = {"occurred_at": at(minutes), "effective_at": at(minutes), "received_at": at(minutes + late)}
    plain = {
        "event_id": key,
        "message_id": key,
        "source": "sim_web",
        "is_simulated": True,
        "type": "track",
        "name": name,
    }
    fixed = {"receive_position": int(minutes * 10), "properties": "{}", "event_date": at(minutes).date(), "flags": []}
    return plain | times | fixed | identifiers | {"is_time_suspect": False, "body_hash": "", "contract_version": 1}


def come(settings: Settings, *events: dict[str, Any]) -> None:
    """Into silver, as the ingest stream writes: events and their identifiers."""
    add(settings, "silver_events", list(events))
    kinds = {"user_id": "user_id", "loyalty_id": "loyalty_id", "anonymous_id": "anonymous_id"}
    shared = ("source", "event_id", "is_simulated", "effective_at", "received_at")
    add(
        settings,
        "silver_identifiers",
        [
            {name: event[name] for name in shared} | {"identifier_type": kind, "identifier_value": event[column]}
            for event in events
            for kind, column in kinds.items()
            if event.get(column)
        ],
    )


def owner(profile_id: str, kind: str, value: str) -> dict[str, Any]:
    plain = {"profile_id": profile_id, "identifier_type": kind, "identifier_value": value, "event_count": 1}
    return plain | {"valid_from": T0, "last_seen_at": T0, "is_simulated": True}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = make_settings(tmp_path / "home")
    delta.ensure_all(found)
    return found


def context(settings: Settings, minutes: float) -> Context:
    return Context(settings, Clock(at(minutes)), f"run-{minutes}")


@pytest.fixture
def opened(settings: Settings) -> Iterator[Any]:
    """A function that opens an evaluator at a moment; all are closed at the end."""
    processes = []

    def opener(minutes: float) -> Process:
        processes.append(Process(context(settings, minutes), BUYERS))
        processes[-1].open()
        return processes[-1]

    yield opener
    for process in processes:
        process.close()


def told(settings: Settings) -> list[tuple[Any, ...]]:
    rows = sorted(
        delta.read(settings, "segment_changes").to_pylist(), key=lambda row: (row["known_at"], row["evaluated_at"])
    )
    return [(r["segment"], r["profile_id"], "in" if r["is_entry"] else "out", r["cause"]) for r in rows]


def deliver(process: Process, minutes: float, batch_id: int, *events: dict[str, Any]) -> None:
    """A micro-batch of silver, as Spark hands it over."""
    columns = ("event_id", "name", "effective_at", "received_at", "receive_position", "is_simulated", "properties", "user_id",
               "loyalty_id", "email_token", "phone_token", "anonymous_id")  # fmt: skip
    rows = [
        {name: event.get(name) for name in columns} | {"event_key": "sim_web|" + event["event_id"]} for event in events
    ]
    process.context = context(process.context.settings, minutes)
    texts = pa.schema([(name, pa.string()) for name in (*columns[-5:], "event_key", "event_id", "name", "properties")])
    times = [("effective_at", pa.timestamp("us", "UTC")), ("received_at", pa.timestamp("us", "UTC"))]
    schema = pa.unify_schemas(
        [texts, pa.schema([*times, ("receive_position", pa.int64()), ("is_simulated", pa.bool_())])]
    )
    process.live.connection.register("batch_rows", pa.Table.from_pylist(rows, schema=schema))
    process.batch("batch_rows", checkpoint="c", batch_id=batch_id)


def test_a_visitor_nobody_has_seen_is_a_profile_until_a_run_gives_it_to_another(
    settings: Settings, opened: Any
) -> None:
    first, second = order(1, user_id="anna"), order(2, loyalty_id="7")
    process = opened(0)
    come(settings, first, second)
    deliver(process, 3, 0, first, second)
    assert sorted(told(settings)) == [("buyers", ANNA, "in", "event"), ("buyers", CARD, "in", "event")]
    add(settings, "profile_identifiers", [owner(ANNA, "user_id", "anna"), owner(ANNA, "loyalty_id", "7")])
    process.context = context(settings, 5)
    process.tick()
    assert sorted(told(settings)[2:]) == [("buyers", CARD, "out", "profile"), ("twice", ANNA, "in", "profile")]
    assert process.tick() is None


def publish(settings: Settings, build: str, orders: int) -> None:
    """A warehouse with one profile in it."""
    file = settings.warehouse_file
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as made:
        made.execute("create schema marts")
        made.execute(
            "create table marts.dim_profiles as select $1 as profile_id, $2::bigint as order_count", [ANNA, orders]
        )
    sidecar.write(sidecar_file(settings), Sidecar(build, "", "", ""))


def test_a_new_build_changes_attributes(settings: Settings) -> None:
    come(settings, order(0, user_id="anna"))
    publish(settings, "b1", 1)
    many = catalogue({"many": "{trait: order_count, gte: 5}"}, attributes={"order_count": Kind.WHOLE})
    process = Process(context(settings, 1), many)
    process.open()
    assert process.tick() is None
    publish(settings, "b2", 7)
    process.tick()
    process.close()
    assert told(settings) == [("many", ANNA, "in", "profile")]


def test_the_strongest_identifier_that_is_known_has_the_event(settings: Settings, opened: Any) -> None:
    """And the account that nobody has seen is a profile of its own, without events."""
    add(settings, "profile_identifiers", [owner("p_shop", "anonymous_id", "browser")])
    process = opened(0)
    event = order(1, user_id="anna", anonymous_id="browser")
    come(settings, event)
    deliver(process, 3, 0, event)
    assert told(settings) == [("buyers", "p_shop", "in", "event")]
    found = process.live.connection.execute("select profile_id from attributes order by all").fetchall()
    assert {row[0] for row in found} == {ANNA, "p_shop"}


def test_after_a_stop_nothing_is_lost_and_nothing_told_twice(settings: Settings, opened: Any) -> None:
    process = opened(0)
    event = order(1, user_id="anna")
    come(settings, event)
    deliver(process, 3, 0, event)
    opened(4)
    assert told(settings) == [("buyers", ANNA, "in", "event")]
    opened(500)
    assert told(settings)[1:] == [("buyers", ANNA, "out", "time")]
    changes = delta.read(settings, "segment_changes").to_pylist()
    assert sorted(row["valid_at"] for row in changes) == [at(1), at(61)]


def test_moments_of_knowing_go_forward_even_when_the_clock_stands_still(settings: Settings, opened: Any) -> None:
    process = opened(0)
    for number, user in enumerate(("anna", "bert")):
        event = order(1, user_id=user)
        come(settings, event)
        deliver(process, 3, number, event)
    known = sorted(row["known_at"] for row in delta.read(settings, "segment_changes").to_pylist())
    assert known == [at(3), at(3) + timedelta(microseconds=1)]


def test_a_second_evaluator_is_refused(settings: Settings) -> None:
    with segments_lock(settings), pytest.raises(RetryableError, match="another `c360 segments stream` is at work"):
        run_stream(context(settings, 0), every=None)


def test_a_start_reads_silver_as_far_as_it_was_dealt_with(settings: Settings) -> None:
    """Told counts like committed; a position within a version means that version."""
    come(settings, order(1, user_id="anna"))
    assert processed_version(settings) == 1
    folder = settings.checkpoints / "segments"
    for name in ("offsets", "commits"):
        (folder / name).mkdir(parents=True)
    (folder / "metadata").write_text('{"id":"c"}', encoding="utf-8")
    come(settings, order(2, user_id="anna"))
    assert processed_version(settings) == 1  # no batch yet
    for batch, version, index in ((0, 3, -1), (1, 7, -1), (2, 7, 4)):
        source = {"reservoirVersion": version, "index": index, "isStartingVersion": False, "reservoirId": "r"}
        (folder / "offsets" / str(batch)).write_text(f"v1\n{{}}\n{json.dumps(source)}", encoding="utf-8")
    (folder / "commits" / "0").touch()
    assert processed_version(settings) == 2
    nothing = pa.Table.from_pylist([CHANGE], schema=arrow_schema(lake_table("segment_changes").contract))
    ledger.append_batch(settings, nothing, checkpoint="c", batch_id=1)
    assert processed_version(settings) == 6
    ledger.append_batch(settings, nothing, checkpoint="c", batch_id=2)
    assert processed_version(settings) == 7
    ledger.append_batch(settings, nothing, checkpoint="c", batch_id=2)  # told before: skipped
    assert delta.row_count(settings, "segment_changes") == 2


def history() -> list[dict[str, Any]]:
    chance = random.Random(11)
    return [
        order(chance.randrange(2000) + n / 100, chance.choice((0, 0, 90)), user_id=f"u{chance.randrange(7)}")
        for n in range(60)
    ]


def test_a_replay_finds_stream_and_batch_equal(settings: Settings) -> None:
    come(settings, *history())
    moments = sampled(T0, at(2400), every=None, count=12, seed=3)
    rules = {"buyers": "{event: Order Completed, last: 60 minutes}", "many": "{trait: order_count, gte: 5}",
             "few": "{not: {trait: order_count, gte: 5}}"}  # fmt: skip
    attributes = {"order_count": Kind.WHOLE}  # of which nothing is known: no warehouse is published
    told_of = run_replay(context(settings, 0), T0, moments, catalogue=catalogue(rules, attributes=attributes))
    assert told_of.startswith("12 comparisons")
    assert told_of.endswith("0 differences")
    assert delta.row_count(settings, "ops_parity") == 0


def test_a_replay_tells_every_difference(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    come(settings, *history())
    advance = Live.advance
    # A stream that forgets what time does.
    monkeypatch.setattr(Live, "advance", lambda live, now, arrivals=None: _without_dues(advance, live, now, arrivals))
    with pytest.raises(GateError, match=r"differences between stream and batch in 3 comparisons"):
        run_replay(context(settings, 0), T0, sampled(T0, at(2400), every="800m", count=None, seed=0), catalogue=BUYERS)
    rows = delta.read(settings, "ops_parity").to_pylist()
    assert rows
    assert {(row["segment"], row["in_stream"], row["in_batch"]) for row in rows} == {("buyers", True, False)}


def _without_dues(advance: Any, live: Live, now: datetime, arrivals: Any) -> Any:
    live.connection.execute("update held set due_at = null")
    return advance(live, now, arrivals)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"end": T0}, "--to must lie after --from"),
        ({"every": "6h", "count": 3}, "not both"),
        ({"every": "6 hours"}, "such as 6h"),
        ({"every": "1m", "end": at(60 * 24 * 30)}, "more than 10000 comparisons"),
    ],
)
def test_a_wrong_sample_is_refused(wrong: dict[str, Any], message: str) -> None:
    arguments = {"start": T0, "end": at(60), "every": None, "count": None, "seed": 0} | wrong
    with pytest.raises(UsageError, match=message):
        sampled(**arguments)


def test_moments_are_sampled_up_to_the_end() -> None:
    assert sampled(T0, at(150), every="1h", count=None, seed=0) == [at(60), at(120), at(150)]
    drawn = sampled(T0, at(150), every=None, count=5, seed=1)
    assert drawn == sorted(drawn) == sampled(T0, at(150), every=None, count=5, seed=1)
    assert (len(drawn), drawn[-1]) == (5, at(150))
    assert replay.MOST_MOMENTS == 10_000


def test_of_two_in_a_batch_each_has_a_beginning_and_a_mark_of_its_own(settings: Settings, opened: Any) -> None:
    """One is simulated, the other is real and comes later."""
    everybody = catalogue({"seen": "{everyone: true}"})
    process = Process(context(settings, 0), everybody)
    process.open()
    first, second = order(1, user_id="anna"), order(9, user_id="bert") | {"is_simulated": False}
    again = order(5, user_id="anna")
    come(settings, first, second, again)
    deliver(process, 10, 0, first, second, again)
    marks = dict(process.live.connection.execute("select profile_id, is_simulated from attributes").fetchall())
    process.close()
    assert marks == {ANNA: True, founded_profile_id("user_id", "bert"): False}
    told_at = {row["profile_id"]: row["valid_at"] for row in delta.read(settings, "segment_changes").to_pylist()}
    assert told_at == {ANNA: at(1), founded_profile_id("user_id", "bert"): at(9)}


def test_whose_identifier_is_nobodys_any_more_has_no_events(settings: Settings, opened: Any) -> None:
    process = opened(0)
    event = order(1, user_id="anna")
    come(settings, event)
    deliver(process, 3, 0, event)
    blocked = {"identifier_type": "user_id", "rule": "value", "blocked": "anna"}
    add(settings, "ops_blocked_identifiers", [blocked])
    process.context = context(settings, 5)
    process.tick()
    assert told(settings)[1:] == [("buyers", ANNA, "out", "profile")]
    assert process.live.connection.execute("select count(*) from known_events").fetchone() == (0,)
