"""A small world for triggers: people, their events, and the desk that decides, with a clock of its own."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from jobs.segments.language.journeys import Journey
from jobs.segments.language.model import Catalogue
from jobs.segments.language.policy import Policy
from jobs.segments.language.traits import Kind
from jobs.segments.language.triggers import Trigger
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.desk import Brought, Desk
from jobs.segments.triggers.model import Turn

START = datetime(2020, 3, 2, 12)
WHY = {"description": "Used by the tests of triggers."}
EVENTS = (
    "profile_id varchar, event_key varchar, name varchar, effective_at timestamp, received_at timestamp,"
    " receive_position bigint, properties varchar"
)
PEOPLE = "profile_id varchar, has_marketing_consent boolean, is_suppressed boolean, city_zone varchar"
OPEN = {"default_zone": "UTC", "purposes": {"marketing": {}}}


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def trigger(occasion: Mapping[str, Any], name: str = "tested", **more: Any) -> Trigger:
    return Trigger.model_validate({"name": name, **WHY, "occasion": occasion, **more}, strict=True)


def journey(steps: Mapping[str, Any], start: str = "tested", **more: Any) -> Journey:
    content = {"name": "trip", **WHY, "start": start, "steps": steps, "expires": "2 days", **more}
    return Journey.model_validate(content, strict=True)


def policy(**more: Any) -> Policy:
    return Policy.model_validate({"name": "policy", **WHY, **OPEN, **more}, strict=True)


def book(*triggers: Trigger, journeys: Iterable[Journey] = (), obeyed: Policy | None = None) -> Book:
    return Book({one.name: one for one in triggers}, {one.name: one for one in journeys}, obeyed or policy())


ATTRIBUTES = {"has_marketing_consent": Kind.FLAG, "is_suppressed": Kind.FLAG, "city_zone": Kind.TEXT}


@dataclass
class World:
    """`now` only goes on; what has happened becomes known when it is received."""

    book: Book
    catalogue: Catalogue = field(default_factory=lambda: Catalogue({}, {}, ATTRIBUTES))
    now: datetime = START
    sightings: list[tuple[Any, ...]] = field(default_factory=list)
    decided: list[dict[str, Any]] = field(default_factory=list)
    stood: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("set TimeZone = 'UTC'")
        self.connection.execute(f"create table known_events ({EVENTS})")
        self.connection.execute(f"create table attributes ({PEOPLE})")
        self.desk = Desk(self.connection, self.book, self.catalogue)
        self.desk.store.create()

    def person(
        self, profile: str = "ann", *, consent: bool | None = True, suppressed: bool = False, zone: str | None = None
    ) -> None:
        self.connection.execute("delete from attributes where profile_id = $1", [profile])
        self.connection.execute("insert into attributes values ($1, $2, $3, $4)", [profile, consent, suppressed, zone])

    def happens(
        self,
        name: str,
        after: float,
        *,
        late: float = 0,
        profile: str = "ann",
        key: str | None = None,
        **properties: Any,
    ) -> str:
        """An event so many minutes after the start, received `late` minutes later; gives its key."""
        at = START + minutes(after)
        made = key or f"e{len(self.sightings) + 1}"
        place = len(self.sightings) + 1
        self.sightings.append((profile, made, name, at, at + minutes(late), place, json.dumps(properties)))
        return made

    def until(self, after: float, *, turns: Iterable[Turn] = ()) -> list[dict[str, Any]]:
        """Time goes on to so many minutes after the start; gives what was decided."""
        since, self.now = self.now, START + minutes(after)
        fresh = [one for one in self.sightings if one[4] <= self.now]
        self.sightings = [one for one in self.sightings if one[4] > self.now]
        if fresh:
            self.connection.executemany("insert into known_events values (?, ?, ?, ?, ?, ?, ?)", fresh)
        brought = Brought([one[1] for one in fresh], frozenset(one[0] for one in fresh), list(turns))
        outcome = self.desk.work(brought, since, self.now)
        rows: list[dict[str, Any]] = outcome.decisions.to_pylist()
        self.decided += rows
        self.stood += outcome.standings.to_pylist()
        return rows

    def sends(self, after: float) -> list[str]:
        """What may be sent at that moment is; gives the messages."""
        moment = START + minutes(after)
        rows = self.connection.execute(
            "select occasion_id, message from decisions where decision = 'fire' and message is not null and not_before <= $1"
            " and expires_at > $1 and occasion_id not in (select occasion_id from decisions where decision = 'cancel')"
            " and occasion_id not in (select occasion_id from deliveries) order by message",
            [moment],
        ).fetchall()
        sent = pa.table(
            {"occasion_id": [row[0] for row in rows], "sent_at": pa.array([moment] * len(rows), pa.timestamp("us"))}
        )
        self.desk.store.add("deliveries", sent)
        return [message for _, message in rows]


def told(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Decisions in short: what, after how many minutes, why."""
    found = []
    for row in rows:
        after = (row["decided_at"] - START) / timedelta(minutes=1)
        named = row["message"] if row["journey_name"] else row["trigger_name"]
        found.append(" ".join([named, row["decision"], f"{after:g}", *row["reasons"]]))
    return found
