"""Triggers beside the real-time evaluator: after each of its calls they decide, and what they have decided is appended."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.context import Context
from jobs.core.definitions import DefinitionError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.segments.compile.collect import Needs
from jobs.segments.language.model import Catalogue
from jobs.segments.live.state import Arrivals
from jobs.segments.live.typed import over_typed
from jobs.segments.triggers import ledger
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.desk import Brought, Desk, Outcome
from jobs.segments.triggers.files import check
from jobs.segments.triggers.model import Turn
from jobs.segments.triggers.news import brought, naive, turn


def beside(folder: Path, catalogue: Catalogue) -> list["TriggerService"]:
    """The triggers and journeys of a project, or of a folder of definitions; none where there are neither.

    Raises DefinitionError with every problem of the files, a missing policy among them.
    """
    checked = check(folder, catalogue)
    if checked.problems:
        raise DefinitionError.of(checked.problems)
    return [TriggerService(checked.book, catalogue)] if checked.book else []


@dataclass
class TriggerService:
    """The desk of a book at work over a lake. `catalogue`: as it is defined."""

    book: Book
    catalogue: Catalogue
    outcomes_version: int = -1
    decided: int = 0

    def follow(self, catalogue: Catalogue) -> Catalogue:
        """What the evaluator is to keep members of."""
        return self.book.followed(catalogue)

    def attach(self, connection: Any, gather_more: Callable[[str], None]) -> list[Needs]:
        """Takes its place in the evaluator's connection; gives what the evaluator is to keep for it."""
        self.connection = connection
        self.desk = Desk(connection, self.book, self.catalogue, over_typed, gather_more)
        return self.desk.needs

    def start(self, context: Context, now: datetime) -> None:
        """After the evaluator has begun or recovered, and told what it found: reads what was decided, and makes up for what was
        not. At the first start of all nothing that was before is an occasion."""
        settings = context.settings
        ledger.prepare(self.connection, self.book)
        self.desk.store.create()
        self.outcomes_version = delta.version(
            settings, ledger.OUTCOMES
        )  # before they are read: what comes meanwhile comes again
        ledger.restore(settings, self.connection, self.desk.store)
        self.desk.store.follow()
        self.moment = naive(now)
        before = ledger.progress(settings)
        self.first, since = (before.first, before.resumes_from) if before else (self.moment, self.moment)
        turns = list(self._told_since(since)) if before else []
        self._keep(settings, self.desk.work(Brought(turns=turns, everyone=True), since, self.moment))

    def expect(self, context: Context) -> None:
        """An event that was received long ago and comes only now, as after an outage, moves back how far a start looks."""
        earliest = self.connection.execute("select min(received_at) from incoming_texts").fetchone()[0]
        if earliest is not None and earliest < self.moment - ledger.LAG:
            ledger.done(context.settings, self.first, earliest)

    def tell(self, context: Context, changes: pa.Table, arrivals: Arrivals, now: datetime) -> None:
        """Decides what a call of the evaluator has brought, whose changes have been told."""
        settings = context.settings
        if arrivals.moved is not None and arrivals.moved.num_rows:
            self.desk.store.move(self._merged())
            self.desk.store.follow()
        if (version := delta.version(settings, ledger.OUTCOMES)) != self.outcomes_version:
            ledger.deliver(settings, self.connection)
            self.outcomes_version = version
        since, self.moment = self.moment, naive(now)
        found = brought(self.connection, arrivals, changes.to_pylist())
        self._keep(settings, self.desk.work(found, since, self.moment))

    def next_due(self) -> datetime | None:
        """The earliest moment at which there is something to decide without an event; UTC."""
        due = self.desk.store.next_due()
        return due.replace(tzinfo=UTC) if due else None

    def _keep(self, settings: Settings, outcome: Outcome) -> None:
        ledger.append(settings, self.connection, outcome)
        ledger.done(settings, self.first, self.moment)
        self.decided += outcome.decisions.num_rows

    def _told_since(self, since: datetime) -> Iterator[Turn]:
        """Changes that were told and may not have been decided on: since then, or by time and waiting for what is late."""
        latest = max((trigger.lateness for trigger in self.book.triggers.values()), default=timedelta())
        rows = self.connection.execute(
            "select * exclude (profile_id) replace (cast(valid_at as timestamp) as valid_at,"
            " cast(known_at as timestamp) as known_at, cast(evaluated_at as timestamp) as evaluated_at),"
            " profile_id as told_of, coalesce(to_profile_id, profile_id) as profile_id"
            " from segment_changes left join led_on on profile_id = from_profile_id"
            " where segment in (select unnest($1)) and (cast(known_at as timestamp) > $2"
            " or (cause = 'time' and cast(valid_at as timestamp) > $2 - $3))",
            [sorted({str(one.waits_for) for one in self.book.triggers.values() if one.waits_for}), since, latest],
        )
        for row in rows.to_arrow_table().to_pylist():
            yield turn(row)

    def _merged(self) -> dict[str, str]:
        rows = self.connection.execute(
            "select from_profile_id, to_profile_id from led_on where from_profile_id in"
            " (select profile_id from decisions union select profile_id from standings union select profile_id from turns)"
        ).fetchall()
        return dict(rows)
