"""Members kept up to date: what arrives and what time does, in the order in which it happened. Knows tables, and no clock.

Only profiles concerned are evaluated: those that something arrived for, at its receipt, and those whose due time has come, at
that time; one query serves all definitions. It is the query of the warehouse, over the same relations, so that at every
moment that was asked for the members are those that the warehouse would count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.core.errors import PermanentError
from jobs.segments.compile.collect import Needs
from jobs.segments.compile.program import Program, compiled
from jobs.segments.compile.rules import segment_column
from jobs.segments.language.model import Catalogue
from jobs.segments.language.references import SEGMENT, only
from jobs.segments.live import changes
from jobs.segments.live.engines import LocalRunner, Runner
from jobs.segments.live.ranks import Ranks
from jobs.segments.live.shelf import Shelf
from jobs.segments.live.state import TYPES, Arrivals, Cause, State
from jobs.segments.live.typed import Kept, over_typed
from jobs.segments.live.versions import definition_versions

# A profile with more due times than this in one call is taken straight to the end: its members are right, but what came and
# went between is not told.
MOST_ROUNDS = 500
# For so few profiles a second thread costs more than it saves: every window and every group is spread over all threads.
FEW = 5_000
NEXT = """
create or replace temp table asked as select profile_id, min(moment) as as_of from (
    select profile_id, moment from stops where moment <= $now
    union all select profile_id, due_at from now_held where due_at <= $now
) semi join people using (profile_id) group by profile_id
"""


@dataclass(frozen=True)
class Last:
    """Where an evaluator stood: its last moment, `members` (segment, profile_id), and the versions of the definitions then."""

    moment: datetime
    members: pa.Table
    versions: Mapping[str, str]


@dataclass
class Live:
    """The evaluator of one catalogue over a DuckDB connection whose time zone is UTC. Call `begin` or `recover` first.

    `attribute_types`: DuckDB types of attribute columns that are not those of their kind. `also_needs`: what others read of the
    events and attributes that it keeps.
    """

    connection: Any
    catalogue: Catalogue
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    also_needs: Sequence[Needs] = ()
    runner: Runner = field(default_factory=LocalRunner)
    evaluated: int = 0
    rounds: int = 0

    def __post_init__(self) -> None:
        whole = compiled(self.catalogue)
        self.ranks = Ranks(self.connection, self.catalogue, whole)
        needs = [whole.needs, *self.ranks.needs, *self.also_needs]
        self.state = State(
            self.connection,
            self.catalogue,
            Kept.of(needs),
            self._attributes(needs),
            Shelf(self.connection),
        )
        self.program: Program = over_typed(whole, people="people")
        self.versions = definition_versions(self.catalogue)
        self.threads = self.threads_used = self.connection.execute("select current_setting('threads')").fetchone()[0]
        self.state.create()
        self.ranks.create()
        changes.create(self.connection, self.versions, self._names_read())

    def begin(self, now: datetime, arrivals: Arrivals) -> pa.Table:
        """The first look at everybody: who is a member now has entered, by its definition. Gives changes, as `advance`."""
        at = _naive(now)
        self._start(arrivals, at)
        self.state.stop_everyone(at, Cause.DEFINITION, valid_at=at)
        return self._resumed(at, at)

    def recover(self, last: Last, now: datetime, arrivals: Arrivals) -> pa.Table:
        """Goes on after a stop: everybody is looked at as of the moment of `last`, which differs from its members only by what
        is neither events nor time; then comes what was received since. Gives changes, as `advance`."""
        at, then = _naive(last.moment), _naive(now)
        self._start(arrivals, then)
        missing = changes.restore(self.connection, self.catalogue, last.members, at)
        changes.leave(self.connection, self.catalogue, missing, then)
        self.state.stop_everyone(at, Cause.PROFILE, valid_at=then)
        self._resumed(at, then)
        return changes.explained(self.connection, last.versions, then)

    def advance(self, now: datetime, arrivals: Arrivals | None = None) -> pa.Table:
        """Takes in what has arrived and goes on to `now`. Gives one row per change, in order (see `segment_changes`).

        `known_at` is `now`; calls go forward in time. What counts only after `now` waits.
        """
        at, arrived = _naive(now), arrivals or Arrivals()
        changes.begin(self.connection)
        changes.leave(self.connection, self.catalogue, arrived.gone, at)
        self.state.take(arrived, at)
        self.ranks.refresh(at, self.state.gather_more)
        return self._go(at)

    def next_due(self) -> datetime | None:
        """The earliest moment at which anything may change without an event; UTC."""
        query = (
            "select min(moment) from (select min(due_at) as moment from held union all select min(moment) from stops)"
        )
        found = self.connection.execute(query).fetchone()[0]
        return found.replace(tzinfo=UTC) if found else None

    def members(self, segment: str) -> list[str]:
        """Who is a member as of the last call, sorted."""
        query = f"select profile_id from held where {segment_column(segment)} order by profile_id"
        return [row[0] for row in self.connection.execute(query).fetchall()]

    def memberships(self) -> pa.Table:
        """(segment, profile_id) of all members, as of the last call."""
        parts = [
            f"select '{name}' as segment, profile_id from held where {segment_column(name)}"
            for name in self.catalogue.segments
        ]
        none = "select '' as segment, '' as profile_id where false"
        return self.connection.execute(" union all ".join(parts) or none).to_arrow_table()

    def _start(self, arrivals: Arrivals, at: datetime) -> None:
        """All that is known, before anybody is looked at."""
        changes.begin(self.connection)
        self.state.load(arrivals, at)

    def _resumed(self, at: datetime, now: datetime) -> pa.Table:
        self.state.arrive_again(at, now)
        self.state.gather(now)
        return self._go(now)

    def _go(self, now: datetime) -> pa.Table:
        self.evaluated = self.rounds = 0
        while self._round(now):
            self.rounds += 1
        self.state.keep()
        self.ranks.prune()
        return changes.collected(self.connection)

    def _round(self, now: datetime) -> bool:
        """Looks once at each profile that has a moment left, at the first of them; False when there is none."""
        run = self.connection.execute
        run(NEXT, {"now": now})
        if self.rounds >= MOST_ROUNDS:
            run("update asked set as_of = $now", {"now": now})
        asked = run("select count(*) from asked").fetchone()[0]
        if not asked:
            return False
        self.evaluated += asked
        self._use_threads(1 if asked <= FEW else self.threads)
        self.ranks.ensure()
        self.runner.run(self.connection, self.program)
        self._require_progress()
        changes.find(self.connection, self.catalogue, now)
        self._hold()
        return True

    def _use_threads(self, count: int) -> None:
        if count != self.threads_used:
            self.connection.execute(f"set threads = {count:d}")
            self.threads_used = count

    def _require_progress(self) -> None:
        stuck = self.connection.execute("select profile_id, as_of from result where due_at <= as_of limit 1").fetchone()
        if stuck:
            raise PermanentError(
                f"a due time lies not after its moment (profile {stuck[0]} at {stuck[1]}): a defect of c360"
            )

    def _hold(self) -> None:
        run = self.connection.execute
        columns = [segment_column(name) for name in self.catalogue.segments]
        found = {"is_simulated": "is_simulated", "moment": "as_of", "due_at": "due_at"} | {
            name: name for name in columns
        }
        values, picked = (
            ", ".join(f"{name} = seen.{source}" for name, source in found.items()),
            ", ".join(found.values()),
        )
        run(
            "create or replace temp table seen as select result.*, is_simulated from result join people using (profile_id)"
        )
        run(f"update now_held set {values} from seen where seen.profile_id = now_held.profile_id")
        run(
            f"insert into now_held (profile_id, {', '.join(found)}) select profile_id, {picked}"
            " from seen anti join now_held using (profile_id)"
        )
        run("delete from stops using asked where asked.profile_id = stops.profile_id and stops.moment <= asked.as_of")
        run(
            "delete from arrived using asked where asked.profile_id = arrived.profile_id and received_at <= asked.as_of"
        )

    def _attributes(self, needs: Sequence[Needs]) -> dict[str, str]:
        """Attribute columns in use → DuckDB type."""
        names = sorted({name for one in needs for name in one.attributes})
        return {name: self.attribute_types.get(name, TYPES[self.catalogue.attributes[name]]) for name in names}

    def _names_read(self) -> dict[str, list[str]]:
        """Segment → the names of events that it reads, by way of others too: only those can have caused its changes."""
        return {
            name: compiled(only(self.catalogue, {(SEGMENT, name)})).needs.event_names
            for name in self.catalogue.segments
        }


def _naive(moment: datetime) -> datetime:
    """UTC without its zone, as the tables have it. A moment without a zone is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def after(moment: datetime | None, now: datetime) -> datetime:
    """`now`, or the next microsecond after `moment` when the clock has not moved on: calls go forward in time."""
    return now if moment is None or now > moment else moment + timedelta(microseconds=1)
