"""The tables that triggers keep in a DuckDB connection: a cache, made anew at start from the lake's tables of the same rows.

- `decisions`: rows of `trigger_decisions`; `standings`: rows of `journey_states`; `deliveries`: occasion_id, sent_at;
- `turns`: changes of membership that are decided later; `trigger_dues`: profile_id, due_at: who is to be looked at when.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.segments.triggers.model import Decision, Fired, Occasion, Standing
from jobs.segments.triggers.rows import TABLES, decided_of, standing_of

LATEST = "qualify row_number() over (partition by entry_id order by sequence desc) = 1"
ASKED = "profile_id in (select profile_id from asked_occasions)"
# For so long a message that was sent may still turn out to be one that should not have been.
REGRETS = timedelta(days=30)


class Store:
    """The tables of one connection."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def create(self) -> None:
        """Makes them, empty."""
        for name, schema in TABLES.items():
            self._with(schema.empty_table(), f"create or replace table {name} as from given")

    def add(self, name: str, rows: pa.Table) -> None:
        """Adds rows to one of them, columns by name."""
        if rows.num_rows:
            self._with(rows, f"insert into {name} by name from given")

    def ask(self, profiles: Iterable[str], since: datetime, now: datetime) -> None:
        """Puts into `asked_occasions` whose occasions are wanted."""
        rows = pa.table({"profile_id": pa.array(sorted(set(profiles)), pa.string())})
        query = "create or replace temp table asked_occasions as select profile_id, $since as since, $now as as_of from given"
        self._with(rows, query.replace("$since", _literal(since)).replace("$now", _literal(now)))

    def due(self, now: datetime) -> set[str]:
        """The profiles whose time has come."""
        rows = self.connection.execute("select profile_id from trigger_dues where due_at <= $1", [now]).fetchall()
        return {str(profile) for (profile,) in rows}

    def everyone(self) -> set[str]:
        """All profiles that have events or stand in a journey."""
        query = (
            "select profile_id from known_events union select profile_id from standings where profile_id is not null"
        )
        return {str(profile) for (profile,) in self.connection.execute(query).fetchall()}

    def next_due(self) -> datetime | None:
        """When the next profile's time comes."""
        found: datetime | None = self.connection.execute("select min(due_at) from trigger_dues").fetchone()[0]
        return found

    def concern(self, profiles: Iterable[str]) -> None:
        """Puts into `concerned_profiles` who has something to be worked off."""
        rows = pa.table({"profile_id": pa.array(sorted(profiles), pa.string())})
        self._with(rows, "create or replace temp table concerned_profiles as from given")

    def verdicts(self) -> list[tuple[str, str, Decision]]:
        """Profile, occasion, decision: what has been decided for those concerned."""
        rows = self.connection.execute(
            "select profile_id, occasion_id, decision from decisions semi join concerned_profiles using (profile_id)"
            " where decision in ('fire', 'hold')"
        ).fetchall()
        return [(profile, occasion, Decision(decision)) for profile, occasion, decision in rows]

    def history(self) -> list[tuple[str, Fired]]:
        """What has fired for those concerned, and what became of it; in the order decided."""
        rows = self._rows(
            "select fired.*, deliveries.sent_at, exists (from decisions as back where back.occasion_id = fired.occasion_id"
            " and back.decision in ('cancel', 'regret')) as is_taken_back from decisions as fired"
            " semi join concerned_profiles on fired.profile_id = concerned_profiles.profile_id"
            " left join deliveries using (occasion_id)"
            " where fired.decision = 'fire' order by fired.decided_at, fired.occasion_id"
        )
        return [(row["profile_id"], Fired(decided_of(row), row["sent_at"], row["is_taken_back"])) for row in rows]

    def turns(self, now: datetime) -> list[Occasion]:
        """The changes of the profiles asked for that are decided by now; they are taken out."""
        where = f"decided_at <= $1 and {ASKED}"
        rows = self._rows(f"from turns where {where} order by all", [now])
        self.connection.execute(f"delete from turns where {where}", [now])
        return [_turned(row) for row in rows]

    def due_standings(self, now: datetime) -> list[Standing]:
        """Entries of the profiles asked for whose pause is over."""
        query = f"from (from standings where {ASKED} {LATEST}) where due_at <= $1 order by entry_id"
        return [standing_of(row) for row in self._rows(query, [now])]

    def standings(self) -> list[Standing]:
        """Where each entry of those concerned stands."""
        where = "profile_id in (select profile_id from concerned_profiles)"
        return [standing_of(row) for row in self._rows(f"from standings where {where} {LATEST} order by entry_id")]

    def open_messages(self, since: datetime) -> None:
        """Puts into `open_messages` what might still be taken back then: waiting to be sent, or sent not long ago."""
        self.connection.execute(
            "create or replace temp table open_messages as select fired.trigger_name, fired.event_keys[1] as event_key"
            " from decisions as fired left join deliveries using (occasion_id) where fired.decision = 'fire'"
            " and fired.message is not null and fired.entry_id is null and fired.event_keys[1] is not null"
            " and fired.profile_id in (select profile_id from asked_occasions)"
            " and coalesce(sent_at + $1, fired.expires_at) > $2 and fired.occasion_id not in"
            " (select occasion_id from decisions where decision in ('cancel', 'regret'))",
            [REGRETS, since],
        )

    def move(self, moved: dict[str, str]) -> None:
        """Gives what belongs to a profile to the one that it has become a part of."""
        pairs = pa.table(
            {"old": pa.array(list(moved), pa.string()), "new": pa.array(list(moved.values()), pa.string())}
        )
        for name in ("decisions", "standings", "turns", "trigger_dues"):
            self._with(
                pairs, f"update {name} set profile_id = given.new from given where {name}.profile_id = given.old"
            )

    def follow(self) -> None:
        """What events have set off belongs to whoever has them now."""
        for name in ("decisions", "standings", "turns"):
            self.connection.execute(
                f"update {name} set profile_id = known_events.profile_id from known_events"
                f" where known_events.event_key = {name}.event_keys[1] and known_events.profile_id <> {name}.profile_id"
            )

    def schedule(self, pending: pa.Table) -> None:
        """Sets anew when the profiles asked for are due: pending occasions as given, pending changes, pauses of journeys."""
        run = self.connection.execute
        run("delete from trigger_dues where profile_id in (select profile_id from asked_occasions)")
        self._with(
            pending,
            "insert into trigger_dues select profile_id, min(due_at) from (select profile_id, due_at from given union all"
            " select profile_id, decided_at from turns union all select profile_id, due_at from"
            f" (from standings where {ASKED} {LATEST}) where due_at is not null)"
            " semi join asked_occasions using (profile_id) group by profile_id",
        )

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.connection.execute(query, list(values)).to_arrow_table().to_pylist()
        return found

    def _with(self, given: pa.Table, query: str) -> None:
        self.connection.register("given", given)
        self.connection.execute(query)
        self.connection.unregister("given")


def _turned(row: dict[str, Any]) -> Occasion:
    keys = tuple(row["event_keys"])
    times = row["occasion_at"], row["decided_at"]
    return Occasion(row["trigger_name"], row["profile_id"], keys, *times, is_turn=True, told_of=row["told_of"])


def _literal(moment: datetime) -> str:
    return f"timestamp '{moment.isoformat(sep=' ')}'"
