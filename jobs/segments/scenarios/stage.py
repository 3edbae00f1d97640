"""The stage of a scenario: the stream's evaluator with the desk, and the warehouse's query beside it, on one simulated clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.segments.compile.occasions import occasions
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.live.state import Arrivals
from jobs.segments.scenarios.files import World
from jobs.segments.scenarios.tables import Seen, events_table, people_table
from jobs.segments.triggers.model import Occasion
from jobs.segments.triggers.together import Together

# Connections of the stream and of the warehouse's query; what an earlier scenario left in them does not matter.
Engines = tuple[Any, Any]


@dataclass
class Stage:
    """People, their events, and what both engines make of them. Moments are UTC without zone and go forward."""

    world: World
    people: dict[str, dict[str, Any]]
    zone: str
    start: datetime
    engines: Engines
    events: list[Seen] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = self.start
        self.connection, self.batch = self.engines
        self.together = Together(self.connection, self.world.catalogue, self.world.book)
        self.evaluator = Evaluator(self.world.catalogue)
        self._keep(self.together.begin(self.start, Arrivals(attributes=self._people(self.people))))
        program = occasions(self.world.book.triggers)
        self.occasions = program.query() if program else None

    def go(self, moment: datetime) -> None:
        """Time passes, in one step."""
        self._advance(moment, Arrivals())

    def happens(self, seen: Seen) -> None:
        """An event is received now."""
        self.events.append(seen)
        self._advance(self.now, Arrivals(events=events_table([seen])))

    def change(self, who: str, attributes: Mapping[str, Any]) -> None:
        """A person's attributes are others now."""
        self.people[who] |= attributes
        self._advance(self.now, Arrivals(attributes=self._people({who: self.people[who]})))

    def deliver(self) -> None:
        """What may be sent now is sent."""
        fired = self.connection.execute(
            "select occasion_id from decisions where decision = 'fire' and message is not null and not_before <= $1"
            " and expires_at > $1 and occasion_id not in (select occasion_id from decisions where decision = 'cancel')"
            " and occasion_id not in (select occasion_id from deliveries) order by occasion_id",
            [self.now],
        ).fetchall()
        ids = [occasion for (occasion,) in fired]
        times = pa.array([self.now] * len(ids), pa.timestamp("us"))
        self.together.desk.store.add("deliveries", pa.table({"occasion_id": ids, "sent_at": times}) if ids else NONE)

    def members(self, segment: str) -> list[str]:
        """Members as the stream has them."""
        return self.together.live.members(segment)

    def standings(self) -> list[dict[str, Any]]:
        """Where everybody stands in each journey, the latest entry."""
        rows: list[dict[str, Any]] = self.connection.execute(
            "from standings qualify row_number() over (partition by journey_name, profile_id"
            " order by entered_at desc, sequence desc) = 1"
        ).to_arrow_table().to_pylist()  # fmt: skip
        return rows

    def evaluated(self) -> dict[str, dict[str, Any]]:
        """Person → traits and segments, as the warehouse's query has them."""
        run = self.batch.execute
        tables = {
            "eval_events": events_table([one for one in self.events if one.received_at <= self.now]),
            "attributes": self._people(self.people),
            "asked": pa.table({"profile_id": list(self.people), "as_of": [self.now] * len(self.people)}),
        }
        for name, rows in tables.items():
            self.batch.register("given", rows)
            run(f"create or replace table {name} as from given")
            self.batch.unregister("given")
        return {row["profile_id"]: row for row in self.evaluator.evaluate(self.batch).to_pylist()}

    def occasions_of_all_time(self) -> set[str]:
        """The occasions of events alone that were decided since the start, by one query over all events."""
        if self.occasions is None:
            return set()
        run = self.batch.execute
        run(
            "create or replace table asked_occasions as select profile_id, $1 as since, as_of from asked",
            [self.start - timedelta(microseconds=1)],
        )
        run("create or replace table fresh (event_key varchar)")
        run("create or replace table open_messages (trigger_name varchar, event_key varchar)")
        rows = run(self.occasions).to_arrow_table().to_pylist()
        return {
            Occasion(
                row["trigger_name"], row["profile_id"], (row["event_key"],), row["occasion_at"], row["decided_at"]
            ).occasion_id
            for row in rows
            if row["is_new"]
        }

    def _advance(self, moment: datetime, arrivals: Arrivals) -> None:
        changes, outcome = self.together.advance(moment, arrivals)
        self.now = moment
        self._keep(changes)
        self.decisions += outcome.decisions.to_pylist()

    def _keep(self, changes: pa.Table) -> None:
        self.changes += changes.to_pylist()

    def _people(self, people: Mapping[str, Mapping[str, Any]]) -> pa.Table:
        return people_table(people, self.world.catalogue, self.zone)


NONE = pa.table({"occasion_id": pa.array([], pa.string()), "sent_at": pa.array([], pa.timestamp("us"))})


def names(found: Iterable[str]) -> str:
    """People in a message."""
    return ", ".join(sorted(found)) or "nobody"
