"""Members and triggers together: the evaluator takes in what has arrived, then the desk decides by what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.segments.compile.collect import Needs
from jobs.segments.language.model import Catalogue
from jobs.segments.live.core import Live
from jobs.segments.live.engines import LocalRunner, Runner
from jobs.segments.live.state import Arrivals, Cause
from jobs.segments.live.typed import over_typed
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.desk import Brought, Desk, Outcome
from jobs.segments.triggers.model import Turn


@dataclass
class _Reader:
    """Keeps of events what the desk needs."""

    needs: Needs

    def look(self, connection: Any, now: datetime) -> str | None:
        """Nothing: the desk has dues of its own."""
        return None


@dataclass
class Companion:
    """The evaluator of a catalogue and the desk of a book, over one DuckDB connection whose time zone is UTC."""

    connection: Any
    catalogue: Catalogue
    book: Book
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    runner: Runner = field(default_factory=LocalRunner)
    moment: datetime | None = None

    def __post_init__(self) -> None:
        self.desk = Desk(self.connection, self.book, self.catalogue, over_typed)
        followed = self.book.followed(self.catalogue)
        riders = [_Reader(needs) for needs in self.desk.needs]
        self.live = Live(self.connection, followed, self.attribute_types, riders, self.runner)
        self.desk.store.create()

    def begin(self, now: datetime, arrivals: Arrivals) -> pa.Table:
        """The first look: from here on triggers are decided, what was before sets none off. Gives the changes."""
        self.moment = _naive(now)
        return self.live.begin(now, arrivals)

    def advance(
        self, now: datetime, arrivals: Arrivals | None = None, *, merged: Mapping[str, str] | None = None
    ) -> tuple[pa.Table, Outcome]:
        """Goes on to `now` with what has arrived; `merged`: profiles that have become part of others. Gives the changes of
        members, and what was decided."""
        came, since = arrivals or Arrivals(), self.moment
        changes = self.live.advance(now, came)
        self.moment = _naive(now)
        if merged:
            self.desk.store.move(dict(merged))
        turns = [_turn(row) for row in changes.to_pylist()]
        return changes, self.desk.work(_brought(came, turns), since or self.moment, self.moment)

    def next_due(self) -> datetime | None:
        """The earliest moment at which anything may change without an event; UTC."""
        due = self.desk.store.next_due()
        found = [one for one in (self.live.next_due(), due.replace(tzinfo=UTC) if due else None) if one is not None]
        return min(found, default=None)


def _brought(arrivals: Arrivals, turns: list[Turn]) -> Brought:
    keys, profiles = _column(arrivals.events, "event_key"), set(_column(arrivals.events, "profile_id"))
    return Brought(keys, frozenset(profiles | set(_column(arrivals.moved, "profile_id"))), turns)


def _column(table: pa.Table | None, name: str) -> list[str]:
    return [] if table is None else [value for value in table.column(name).to_pylist() if value is not None]


def _turn(row: Mapping[str, Any]) -> Turn:
    """A change is found when it was looked for; one that no event has caused, when something else has told of it."""
    by_itself = row["cause"] in (Cause.EVENT, Cause.TIME)
    return Turn(
        segment=row["segment"],
        profile_id=row["profile_id"],
        is_entry=row["is_entry"],
        valid_at=_naive(row["valid_at"]),
        known_at=_naive(row["evaluated_at"] if by_itself else row["known_at"]),
        event_keys=tuple(row["event_keys"]),
        is_by_time=row["cause"] == Cause.TIME,
        is_by_definition=row["cause"] == Cause.DEFINITION,
    )


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
