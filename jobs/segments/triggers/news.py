"""What the evaluator has found, as the desk wants it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.segments.compile.collect import Needs
from jobs.segments.live.state import Arrivals, Cause
from jobs.segments.triggers.desk import Brought, Desk
from jobs.segments.triggers.model import Turn


@dataclass
class Reader:
    """Makes the evaluator keep of events what the desk needs."""

    needs: Needs

    def look(self, connection: Any, now: datetime) -> str | None:
        """Nothing: the desk has dues of its own."""
        return None


def readers(desk: Desk) -> list[Reader]:
    """Of all that the desk needs."""
    return [Reader(needs) for needs in desk.needs]


def brought(connection: Any, arrivals: Arrivals, changes: Iterable[Mapping[str, Any]]) -> Brought:
    """What a call of the evaluator has brought: its arrivals and the changes that it has found."""
    keys, profiles = set[str](), set[str]()
    for table in (_relation(connection, arrivals.events), _relation(connection, arrivals.moved)):
        if table is not None:
            keys |= _column(table, "event_key")
            profiles |= _column(table, "profile_id")
    return Brought(sorted(keys), frozenset(profiles), [turn(row) for row in changes])


def turn(row: Mapping[str, Any]) -> Turn:
    """A change of membership. It is known when it was looked for; one that neither an event nor time has caused, when
    something else has told of it."""
    by_itself = row["cause"] in (Cause.EVENT, Cause.TIME)
    return Turn(
        segment=row["segment"],
        profile_id=row["profile_id"],
        is_entry=row["is_entry"],
        valid_at=naive(row["valid_at"]),
        known_at=naive(row["evaluated_at"] if by_itself else row["known_at"]),
        event_keys=tuple(row["event_keys"]),
        is_by_time=row["cause"] == Cause.TIME,
        is_by_definition=row["cause"] == Cause.DEFINITION,
    )


def naive(moment: datetime) -> datetime:
    """UTC without its zone, as the tables have it."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _relation(connection: Any, events: pa.Table | str | None) -> pa.Table | None:
    if isinstance(events, str):
        found: pa.Table = connection.execute(f"select event_key, profile_id from {events}").to_arrow_table()
        return found
    return events


def _column(table: pa.Table, name: str) -> set[str]:
    return {value for value in table.column(name).to_pylist() if value is not None}
