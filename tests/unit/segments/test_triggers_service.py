"""Triggers beside the evaluator over a lake: decided once, through a crash at each place where one would hurt."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from settingskit import make_settings

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.definitions import DefinitionError
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.lake.swap import replace_if_changed
from jobs.segments.language.catalogue import load
from jobs.segments.live.process import Process
from jobs.segments.triggers.service import beside

START = datetime(2024, 3, 4, 12, tzinfo=UTC)
WHY = "description: Used by the tests of triggers.\n"
FILES = {
    "policy.yml": "default_zone: UTC\npurposes: {marketing: {caps: [{at_most: 9, within: 1 day}]}}\n",
    "segments/buyers.yml": "rule: {event: Order Completed, last: 1 hour}\n",
    "triggers/cart.yml": (
        "occasion: {event: Product Added, not_followed_by: {event: Order Completed}, within: 10 minutes}\n"
    ),
    "triggers/bought.yml": "occasion: {enters: buyers}\n",
    "triggers/gone.yml": "occasion: {leaves: buyers}\n",
    "triggers/first.yml": "occasion: {event: Product Viewed}\nsends: false\nre_entry: once\n",
    "journeys/trip.yml": (
        "start: first\nexpires: 1 day\nsteps:\n  hello: {send: hello}\n  pause: {wait: 30 minutes}\n  bye: {send: bye}\n"
    ),
}
TABLES = (
    *("silver_events", "silver_identifiers", "profile_identifiers", "profile_redirects", "ops_blocked_identifiers"),
    *("ops_token_aliases", "segment_changes", "trigger_decisions", "journey_states", "ops_sync_outcomes"),
)
ANNA, BERT = (founded_profile_id("user_id", user) for user in ("anna", "bert"))
CHOSEN = ("name", "effective_at", "received_at", "receive_position", "is_simulated", "user_id", "loyalty_id",
          "email_token", "phone_token", "anonymous_id", "properties")  # fmt: skip


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(user: str, name: str, minutes: float, late: float = 0) -> dict[str, Any]:
    key = f"{user}-{name}-{minutes}"
    plain = dict.fromkeys(lake_table("silver_events").contract.column_names)
    times = {"occurred_at": at(minutes), "received_at": at(minutes + late), "effective_at": at(minutes)}
    told = {"event_id": key, "source": "web", "is_simulated": False, "type": "track", "name": name, "user_id": user}
    fixed = {"is_time_suspect": False, "receive_position": int(minutes * 1000), "event_date": at(minutes).date()}
    return plain | times | told | fixed | {"properties": "{}", "flags": [], "body_hash": key,
            "contract_version": 1, "message_id": key, "ingest_batch": "test"}  # fmt: skip


class Shop:
    """A lake and the process over it; each call has its own moment."""

    def __init__(self, folder: Path) -> None:
        self.settings: Settings = make_settings(folder / "home")
        self.definitions = folder / "definitions"
        for name, text in FILES.items():
            file = self.definitions / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"name: {file.stem}\n{WHY}{text}")
        (self.definitions / "traits").mkdir(exist_ok=True)
        for name in TABLES:
            delta.ensure_table(self.settings, name)
        self.batches = 0
        self.open(0)

    def open(self, minutes: float) -> None:
        catalogue = load(self.definitions)
        context = Context(self.settings, Clock(at(minutes)), "test")
        self.process = Process(context, catalogue, companions=beside(self.definitions, catalogue))
        self.process.open()

    def add(self, table: str, *rows: dict[str, Any]) -> None:
        contract = lake_table(table).contract
        plain = dict.fromkeys(contract.column_names)
        given = pa.Table.from_pylist([plain | row for row in rows], schema=arrow_schema(contract))
        delta.append(self.settings, table, given)

    def comes(self, minutes: float, *events: dict[str, Any]) -> None:
        self.add("silver_events", *events)
        self.delivers(minutes, *events)

    def delivers(self, minutes: float, *events: dict[str, Any]) -> None:
        rows = pa.Table.from_pylist(list(events), schema=arrow_schema(lake_table("silver_events").contract))
        self.process.context = Context(self.settings, Clock(at(minutes)), "test")
        chosen = rows.select(CHOSEN).append_column("event_key", pa.array([f"web|{e['event_id']}" for e in events]))
        self.process.live.connection.register("batch_rows", chosen)
        self.batches += 1
        self.process.batch("batch_rows", checkpoint="test", batch_id=self.batches)

    def ticks(self, minutes: float) -> None:
        self.process.context = Context(self.settings, Clock(at(minutes)), "test")
        self.process.tick()

    def decided(self) -> list[str]:
        return sorted(
            f"{(row['decided_at'] - START) / timedelta(minutes=1):g} {row['message'] or row['trigger_name']} {row['decision']}"
            f" {'anna' if row['profile_id'] == ANNA else 'bert'}"
            for row in delta.read(self.settings, "trigger_decisions").to_pylist()
        )

    def stood(self) -> list[str]:
        return sorted(
            f"{(row['state_at'] - START) / timedelta(minutes=1):g} {row['step_name'] or row['reason']} {row['sequence']}"
            for row in delta.read(self.settings, "journey_states").to_pylist()
        )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.process.close()


DECIDED = sorted(
    [
        *("1 first fire anna", "1 hello fire anna", "31 bye fire anna"),
        *("14 cart fire anna", "20 cart cancel anna"),
        *("3 bought fire bert", "63 bought cancel bert", "65 gone fire bert"),  # nobody has sent it in time
        *("20 bought fire anna", "80 bought cancel anna", "82 gone fire anna"),
    ]
)
STOOD = sorted(["1 hello 0", "1 pause 1", "31 finished 2"])


def play(shop: Shop) -> None:
    """A crash ends a call; the next start, a minute later, goes on."""
    comes = [
        (1.5, [event("anna", "Product Viewed", 1)]),
        (3.5, [event("anna", "Product Added", 2), event("bert", "Order Completed", 3)]),
        (15, None),
        (21, [event("anna", "Order Completed", 20)]),
        (40, None),
        (130, None),
    ]
    for minutes, events in comes:
        try:
            shop.comes(minutes, *events) if events else shop.ticks(minutes)
        except RuntimeError:
            shop.process.close()
            shop.open(minutes + 0.1)


def test_decisions_and_states_are_told(shop: Shop) -> None:
    play(shop)
    assert shop.decided() == DECIDED
    assert shop.stood() == STOOD
    rows = delta.read(shop.settings, "trigger_decisions").to_pylist()
    cart = next(row for row in rows if row["trigger_name"] == "cart" and row["decision"] == "fire")
    assert (cart["delay_seconds"], cart["known_at"], cart["occasion_at"]) == (180, at(15), at(12))
    assert cart["event_keys"] == ["web|anna-Product Added-2"]
    assert (cart["reasons"], cart["is_simulated"]) == (None, False)
    assert next(row["reasons"] for row in rows if row["decision"] == "cancel") == "undone"


@pytest.mark.parametrize(
    ("table", "turn", "place"),
    [
        ("segment_changes", 2, "before"),
        ("trigger_decisions", 2, "before"),
        ("trigger_decisions", 5, "after"),
        ("journey_states", 1, "before"),
        ("journey_states", 2, "after"),
    ],
)
def test_a_crash_loses_and_doubles_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, table: str, turn: int, place: str
) -> None:
    append, seen = delta.append, list[str]()

    def crashing(settings: Settings, name: str, rows: pa.Table, **more: Any) -> bool:
        seen.append(name)
        is_here = name == table and seen.count(table) == turn
        if is_here and place == "before":
            raise RuntimeError("a crash")
        done = append(settings, name, rows, **more)
        if is_here:
            raise RuntimeError("a crash")
        return done

    monkeypatch.setattr(delta, "append", crashing)
    play(shop)
    monkeypatch.undo()
    assert seen.count(table) >= turn
    assert shop.decided() == DECIDED
    assert shop.stood() == STOOD


def test_what_was_sent_is_read_from_the_outcomes(shop: Shop) -> None:
    shop.comes(2.5, event("anna", "Product Added", 2))
    shop.ticks(15)
    [occasion] = delta.read(shop.settings, "trigger_decisions").column("occasion_id").to_pylist()
    row = {
        "run_id": "r", "sync_name": "messages", "profile_id": occasion, "operation": "add", "outcome": "delivered",
        "acknowledged_at": at(16), "recorded_at": at(16),
    }  # fmt: skip
    schema = arrow_schema(lake_table("ops_sync_outcomes").contract)
    delta.append(shop.settings, "ops_sync_outcomes", pa.Table.from_pylist([row], schema=schema))
    shop.comes(30, event("anna", "Order Completed", 15, late=14))
    assert shop.decided() == ["14 cart fire anna", "29 bought fire anna", "29 cart regret anna"]


def test_at_the_first_start_nothing_that_was_is_an_occasion(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.process.close()
    rows = [
        event("anna", "Product Viewed", -50),
        event("anna", "Product Added", -5),
        event("bert", "Order Completed", -9),
    ]
    schema = arrow_schema(lake_table("silver_events").contract)
    delta.append(shop.settings, "silver_events", pa.Table.from_pylist(rows, schema=schema))
    shop.open(0)
    shop.delivers(1, *rows)  # the stream's first micro-batch brings them again
    assert shop.decided() == []
    shop.ticks(8)  # but what is still to be decided is
    assert shop.decided() == ["7 cart fire anna"]
    shop.process.close()


def test_a_crash_does_not_lose_what_came_hours_after_its_receipt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an outage: what was received in it comes when it is over."""
    shop.comes(200, event("anna", "Product Viewed", 199))
    append = delta.append

    def crashing(settings: Settings, name: str, rows: pa.Table, **more: Any) -> bool:
        if name == "trigger_decisions":
            raise RuntimeError("a crash")
        return append(settings, name, rows, **more)

    monkeypatch.setattr(delta, "append", crashing)
    with pytest.raises(RuntimeError):
        shop.comes(201, event("bert", "Product Added", 10, late=1))
    monkeypatch.undo()
    shop.process.close()
    shop.open(202)
    assert [row for row in shop.decided() if "bert" in row] == ["22 cart fire bert"]


def test_an_occasion_goes_with_its_event_to_another_profile(shop: Shop) -> None:
    """A run gives the visitor's events to an older profile, which no merge tells of."""
    shop.comes(1.5, event("anna", "Product Viewed", 1))
    shop.comes(3, event("anna", "Product Added", 2))
    shop.ticks(15)
    before = shop.decided()
    assert before == ["1 first fire anna", "1 hello fire anna", "14 cart fire anna"]
    plain = {"event_count": 1, "valid_from": at(0), "last_seen_at": at(3), "is_simulated": False}
    shop.add(
        "profile_identifiers",
        plain | {"profile_id": "p_older", "identifier_type": "user_id", "identifier_value": "anna"},
    )
    shop.ticks(16)
    assert shop.decided() == before
    shop.comes(21, event("anna", "Order Completed", 20))
    shop.ticks(40)
    later = delta.read(shop.settings, "trigger_decisions").to_pylist()
    told = {(row["message"], row["decision"], row["profile_id"]) for row in later if row["decided_at"] > at(15)}
    assert told == {("cart", "cancel", "p_older"), ("bought", "fire", "p_older"), ("bye", "fire", "p_older")}
    shop.process.close()
    shop.open(41)
    assert len(delta.read(shop.settings, "trigger_decisions")) == len(later)
    stores = shop.process.live.connection.execute("select distinct profile_id from decisions").fetchall()
    assert stores == [("p_older",)]


@pytest.mark.parametrize("is_started_anew", [False, True])
def test_an_occasion_goes_with_its_event_when_a_merge_is_undone(shop: Shop, is_started_anew: bool) -> None:
    owners = [("anna", "p_one"), ("bert", "p_one")]
    for anew in (owners, [("anna", "p_one"), ("bert", "p_two")]):
        plain = {"identifier_type": "user_id", "event_count": 1, "valid_from": at(0), "last_seen_at": at(3)}
        contract = lake_table("profile_identifiers").contract
        named = dict.fromkeys(contract.column_names) | plain | {"is_simulated": False}
        rows = [named | {"profile_id": profile, "identifier_value": user} for user, profile in anew]
        replace_if_changed(
            shop.settings, "profile_identifiers", pa.Table.from_pylist(rows, schema=arrow_schema(contract))
        )
        if anew is owners:
            shop.comes(3, event("bert", "Product Added", 2))
            shop.ticks(15)
    if is_started_anew:
        shop.process.close()
        shop.open(16)
    shop.ticks(16)
    shop.comes(21, event("bert", "Order Completed", 20))
    rows = delta.read(shop.settings, "trigger_decisions").to_pylist()
    told = [(row["decision"], row["profile_id"]) for row in rows if row["trigger_name"] == "cart"]
    assert sorted(told) == [("cancel", "p_two"), ("fire", "p_one")]


def test_triggers_without_a_policy_are_no_reason_to_keep_silent(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.process.close()
    (shop.definitions / "policy.yml").unlink()
    with pytest.raises(DefinitionError, match=r"policy\.yml:1: missing"):
        shop.open(0)
    for folder in ("triggers", "journeys"):
        shutil.rmtree(shop.definitions / folder)
    shop.open(0)
    assert not shop.process.companions
    shop.process.close()
