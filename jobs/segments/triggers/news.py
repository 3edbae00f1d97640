"""What the evaluator has found, as the desk wants it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.segments.live.state import Arrivals, Cause
from jobs.segments.triggers.desk import Brought
from jobs.segments.triggers.model import Turn


def brought(connection: Any, arrivals: Arrivals, changes: Iterable[Mapping[str, Any]]) -> Brought:
    """What a call of the evaluator has brought: its arrivals and the changes that it has found.

    New are the events that it did not know: one that comes again, or has another profile now, is no occasion for the second time.
    """
    profiles = set[str]()
    for relation in (arrivals.events, arrivals.moved):
        if relation is not None:
            profiles |= _column(connection, relation, "profile_id")
    new = sorted(_column(connection, "fresh_events", "event_key"))
    return Brought(new, frozenset(profiles), [turn(row) for row in changes])


def turn(row: Mapping[str, Any]) -> Turn:
    """A change of membership. It is known when it was looked for; one that neither an event nor time has caused, when
    something else has told of it."""
    by_itself = row["cause"] in (Cause.EVENT, Cause.TIME)
    return Turn(
        segment=row["segment"],
        profile_id=row["profile_id"],
        told_of=row.get("told_of", row["profile_id"]),
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


def _column(connection: Any, relation: pa.Table | str, name: str) -> set[str]:
    if isinstance(relation, str):
        relation = connection.execute(f"select distinct {name} from {relation}").to_arrow_table()
    return {value for value in relation.column(name).to_pylist() if value is not None}
