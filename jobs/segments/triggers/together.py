"""Members and triggers together: the evaluator takes in what has arrived, then the desk decides by what it found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.segments.language.model import Catalogue
from jobs.segments.live.core import Live
from jobs.segments.live.engines import LocalRunner, Runner
from jobs.segments.live.state import Arrivals
from jobs.segments.live.typed import over_typed
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.desk import Desk, Outcome
from jobs.segments.triggers.news import brought, naive


@dataclass
class Together:
    """The evaluator of a catalogue and the desk of a book, over one DuckDB connection whose time zone is UTC."""

    connection: Any
    catalogue: Catalogue
    book: Book
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    runner: Runner = field(default_factory=LocalRunner)
    moment: datetime | None = None

    def __post_init__(self) -> None:
        self.desk = Desk(self.connection, self.book, self.catalogue, over_typed, self._gather_more)
        followed = self.book.followed(self.catalogue)
        self.live = Live(self.connection, followed, self.attribute_types, self.desk.needs, self.runner)
        self.desk.store.create()

    def begin(self, now: datetime, arrivals: Arrivals) -> pa.Table:
        """The first look: from here on triggers are decided, what was before sets none off. Gives the changes."""
        self.moment = naive(now)
        return self.live.begin(now, arrivals)

    def advance(
        self, now: datetime, arrivals: Arrivals | None = None, *, merged: Mapping[str, str] | None = None
    ) -> tuple[pa.Table, Outcome]:
        """Goes on to `now` with what has arrived; `merged`: profiles that have become part of others. Gives the changes of
        members, and what was decided."""
        came, since = arrivals or Arrivals(), self.moment
        changes = self.live.advance(now, came)
        self.moment = naive(now)
        if merged:
            self.desk.store.move(dict(merged))
        found = brought(self.connection, came, changes.to_pylist())
        return changes, self.desk.work(found, since or self.moment, self.moment)

    def _gather_more(self, whose: str) -> None:
        self.live.state.gather_more(whose)

    def next_due(self) -> datetime | None:
        """The earliest moment at which anything may change without an event; UTC."""
        due = self.desk.store.next_due()
        found = [one for one in (self.live.next_due(), due.replace(tzinfo=UTC) if due else None) if one is not None]
        return min(found, default=None)
