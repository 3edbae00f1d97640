"""The tables that the evaluator keeps in its connection, and how what arrives gets into them.

- `known_events`: the events that count for anything, typed; `attributes`: every profile that exists; `held`: per profile its
  segments as they were at its last moment, that moment, and when time alone next changes something;
- `arrived`: events that no evaluation has seen yet; `stops`: moments at which a profile is to be looked at, and why;
- while a call lasts, of the profiles concerned: `eval_events`, `now_held` and `people`, their attributes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa

from jobs.segments.compile.rules import segment_column
from jobs.segments.language.model import Catalogue
from jobs.segments.language.traits import Kind
from jobs.segments.live.shelf import Shelf
from jobs.segments.live.typed import PLAIN, Kept

TYPES = {
    Kind.WHOLE: "bigint",
    Kind.NUMBER: "decimal(18, 6)",
    Kind.TEXT: "varchar",
    Kind.TIME: "timestamp",
    Kind.FLAG: "boolean",
}
NO_EVENTS = pa.table(
    {name: pa.array([], pa.string()) for name in (*PLAIN, "properties")} | {"is_simulated": pa.array([], pa.bool_())}
)
TIMES = "cast(effective_at as timestamp) as effective_at, cast(received_at as timestamp) as received_at"


class Cause(StrEnum):
    """Why a membership changed. `others`: those of other profiles, who have moved the border of a percentile."""

    EVENT = "event"
    TIME = "time"
    PROFILE = "profile"
    DEFINITION = "definition"
    OTHERS = "others"


@dataclass(frozen=True)
class Arrivals:
    """What has become known since the last call; all of it may be empty. Events may be a relation of the connection, by name.

    `events`: profile_id, event_key, name, effective_at, received_at, receive_position, properties (JSON text), is_simulated;
    events that are known already do no harm. `attributes`: profile_id, is_simulated and the attribute columns of profiles that
    are new or changed. `moved`: event_key, profile_id, is_simulated of events that have another profile now, or none (NULL).
    `gone`: profiles that exist no longer.
    """

    events: pa.Table | str | None = None
    attributes: pa.Table | None = None
    moved: pa.Table | None = None
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """The tables of one catalogue in a DuckDB connection whose time zone is UTC."""

    connection: Any
    catalogue: Catalogue
    kept: Kept
    attributes: Mapping[str, str]
    shelf: Shelf

    def create(self) -> None:
        """Makes the tables, empty."""
        segments = {segment_column(name): "boolean" for name in self.catalogue.segments}
        self._table("known_events", self.kept.columns)
        self._table("attributes", {"profile_id": "varchar", "is_simulated": "boolean", **self.attributes})
        plain = {"profile_id": "varchar", "is_simulated": "boolean", "moment": "timestamp", "due_at": "timestamp"}
        self._table("held", plain | segments)
        self._table("arrived", {**PLAIN, "is_simulated": "boolean"})
        stops = {"profile_id": "varchar", "moment": "timestamp", "cause": "varchar", "valid_at": "timestamp"}
        self._table("stops", stops)
        self._arrivals(None)

    def load(self, arrivals: Arrivals, now: datetime) -> None:
        """Takes in all that is known, into empty tables; nobody is to be looked at yet."""
        with self._relation(arrivals.events) as events:
            columns = ", ".join(f'"{name}"' for name in self.kept.columns)
            timed = f"with loaded as (select * replace ({TIMES}) from {events} where profile_id is not null)"
            self.connection.execute(f"insert into known_events ({columns}) {timed} {self.kept.typing('loaded')}")
            self._attributed(arrivals.attributes, now)
            self._exist(events)
        self.connection.execute("delete from stops")

    def take(self, arrivals: Arrivals, now: datetime) -> None:
        """Takes in what has arrived; says in `stops` who is to be looked at. `eval_events` then holds their events."""
        self._moved(arrivals.moved, now)
        self._attributed(arrivals.attributes, now)
        self._delete_gone(arrivals.gone)
        self._arrivals(arrivals.events)
        self.gather(now)
        self._add_events(now)

    def stop_everyone(self, moment: datetime, cause: Cause, *, valid_at: datetime) -> None:
        """Everybody is to be looked at, at one moment."""
        query = "insert into stops select profile_id, $moment, $cause, $valid_at from attributes"
        self.connection.execute(query, {"moment": moment, "cause": cause, "valid_at": valid_at})

    def arrive_again(self, after: datetime, now: datetime) -> None:
        """Events received after a moment, as if they came now."""
        columns = ", ".join(PLAIN)
        self.connection.execute(
            f"insert into arrived ({columns}) select {columns} from known_events where received_at > $after",
            {"after": after},
        )
        self.connection.execute(
            "insert into stops select profile_id, max(received_at), $cause, max(effective_at) from arrived"
            " group by profile_id, greatest(received_at, $now)",
            {"cause": Cause.EVENT, "now": now},
        )

    def _table(self, name: str, columns: Mapping[str, str]) -> None:
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        self.connection.execute(f"create or replace table {name} ({listed})")

    def _moved(self, moved: pa.Table | None, now: datetime) -> None:
        if moved is None or not moved.num_rows:
            return
        run = self.connection.execute
        self.connection.register("moved_rows", moved)
        run("create or replace temp table moves as select event_key, profile_id, is_simulated from moved_rows")
        self.connection.unregister("moved_rows")
        run(
            "create or replace temp table concerned as select profile_id from known_events semi join moves using (event_key)"
        )
        run("insert into concerned select profile_id from moves where profile_id is not null")
        run(
            "update known_events set profile_id = moves.profile_id from moves where moves.event_key = known_events.event_key"
        )
        run("delete from known_events where profile_id is null")
        self.shelf.forget()
        self._exist("moves")
        self._stop_concerned(now)
        # Whoever has them now may have been looked at last before they were received.
        run(
            "insert into stops select moves.profile_id, max(received_at), $cause, $now from moves"
            " inner join known_events using (event_key) inner join held on held.profile_id = moves.profile_id"
            " where received_at > held.moment group by moves.profile_id",
            {"cause": Cause.PROFILE, "now": now},
        )

    def _attributed(self, attributes: pa.Table | None, now: datetime) -> None:
        if attributes is None or not attributes.num_rows:
            return
        run = self.connection.execute
        self.connection.register("attribute_rows", attributes)
        run("create or replace temp table concerned as select profile_id from attribute_rows")
        run("delete from attributes where profile_id in (select profile_id from concerned)")
        names = ", ".join(f'"{name}"' for name in ("profile_id", "is_simulated", *self.attributes))
        run(f"insert into attributes ({names}) select {names} from attribute_rows")
        self.connection.unregister("attribute_rows")
        self._stop_concerned(now)

    def _stop_concerned(self, now: datetime) -> None:
        """Who is known is looked at as of their last moment again, so that what time does afterwards stays told apart."""
        self.connection.execute(
            "insert into stops select distinct concerned.profile_id, coalesce(held.moment, $now), $cause, $now"
            " from concerned left join held using (profile_id)",
            {"now": now, "cause": Cause.PROFILE},
        )

    def _delete_gone(self, gone: tuple[str, ...]) -> None:
        if gone:
            self.shelf.forget()
        for table in ("attributes", "stops", "arrived", "known_events") if gone else ():
            self.connection.execute(f"delete from {table} where profile_id in (select unnest($1))", [list(gone)])

    def _arrivals(self, events: pa.Table | str | None) -> None:
        """All that arrived, typed, as `incoming`; of whatever name, it makes a profile exist."""
        run = self.connection.execute
        with self._relation(events) as source:
            run(
                "create or replace temp table incoming_texts as select distinct on (event_key) profile_id, event_key, name,"
                f" {TIMES}, cast(receive_position as bigint) as receive_position, properties, is_simulated"
                f" from {source} where profile_id is not null"
            )
        run(f"create or replace temp table incoming as {self.kept.typing('incoming_texts')}")
        self._exist("incoming_texts")

    def _exist(self, source: str) -> None:
        """Whoever something came for exists; who is known from one event that is not simulated is not simulated."""
        run = self.connection.execute
        run(f"create or replace temp table familiar as from attributes semi join {source} using (profile_id)")
        run(
            "insert into attributes (profile_id, is_simulated) select profile_id, bool_and(is_simulated)"
            f" from {source} anti join familiar using (profile_id) where profile_id is not null group by profile_id"
        )
        real = f"select profile_id from {source} semi join (from familiar where is_simulated) using (profile_id)"
        found = [row[0] for row in run(f"{real} where not is_simulated").fetchall()]
        if found:
            run("update attributes set is_simulated = false where profile_id in (select unnest($1))", [found])

    @contextmanager
    def _relation(self, events: pa.Table | str | None) -> Iterator[str]:
        """The name of the events' relation, while they are read."""
        if isinstance(events, str):
            yield events
            return
        self.connection.register("event_rows", NO_EVENTS if events is None else events)
        yield "event_rows"
        self.connection.unregister("event_rows")

    def gather(self, now: datetime) -> None:
        """What is known of those who are to be looked at by `now`: `eval_events`, `now_held`, `people`."""
        run = self.connection.execute
        run(
            "create or replace temp table concerned as select distinct profile_id from (select profile_id from incoming_texts"
            " union all select profile_id from stops where moment <= $now"
            " union all select profile_id from held where due_at <= $now)",
            {"now": now},
        )
        self.shelf.gather("concerned")
        for now_name, query in NOW.items():
            run(f"create or replace temp table {now_name} as {query} semi join concerned using (profile_id)")

    def gather_more(self, whose: str) -> None:
        """What is known of the profiles of a relation too, as far as it is not there yet."""
        run = self.connection.execute
        run(
            "create or replace temp table others as select distinct profile_id"
            f" from {whose} as more anti join concerned using (profile_id)"
        )
        if not run("from others limit 1").fetchone():
            return
        self.shelf.add("others")
        for now_name, query in NOW.items():
            run(f"insert into {now_name} {query} semi join others using (profile_id)")
        run("insert into concerned from others")

    def keep(self) -> None:
        """Writes into `held` what the rounds have found. Rows are put at the end in the place of the old ones (DuckDB moves the
        others together by itself): to change them where they are costs a piece of each column for each."""
        run = self.connection.execute
        run("delete from held where profile_id in (select profile_id from now_held)")
        run("insert into held by name from now_held")

    def _add_events(self, now: datetime) -> None:
        """An event that is known already may come again: it is not kept twice, and its profile is looked at all the same."""
        run = self.connection.execute
        columns = ", ".join(f'"{name}"' for name in self.kept.columns)
        run("create or replace temp table fresh_events as from incoming anti join eval_events using (event_key)")
        for table in ("known_events", "eval_events"):
            run(f"insert into {table} ({columns}) select {columns} from fresh_events")
        self.shelf.put_beside("fresh_events")
        plain = ", ".join(PLAIN)
        run(f"insert into arrived ({plain}) select {plain} from incoming")
        # One evaluation for all that came, at the receipt of the last; what counts only later waits for its time.
        came = "select profile_id, received_at, effective_at"
        run(
            "insert into stops select profile_id, greatest(max(received_at), coalesce(any_value(moment), max(received_at))),"
            " cause, case when cause = $profile then min(effective_at) else max(effective_at) end"
            f" from ({came}, $event as cause from incoming union all"
            f" {came}, $profile from incoming_texts anti join now_held using (profile_id))"
            " left join now_held using (profile_id) group by profile_id, cause, greatest(received_at, $now)",
            {"event": Cause.EVENT, "profile": Cause.PROFILE, "now": now},
        )


# Of those concerned: what is held of them, which the rounds change, and their attributes.
NOW = {"now_held": "from held", "people": "from attributes"}
