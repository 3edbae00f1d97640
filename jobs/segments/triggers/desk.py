"""The desk: takes what a micro-batch brought, finds the occasions, decides each once, and says who is to be looked at when.

It works over tables of a DuckDB connection (`store.py`) beside the evaluator's: `eval_events` and `people`, what is known of the
profiles at work, out of `known_events`, the events that count, and `attributes`. A call is a function of these and its
arguments; whether time is passed over in one call or in many makes no difference to what is decided, but for memberships that
events change: these are decided when the evaluator knows of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.segments.compile.collect import Needs
from jobs.segments.compile.occasions import occasions
from jobs.segments.compile.program import Program
from jobs.segments.language.model import Catalogue
from jobs.segments.language.triggers import Leaves, Trigger
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.case import Case, ExitEvent, Kind, WayBack
from jobs.segments.triggers.judge import Judge
from jobs.segments.triggers.model import Occasion, Turn
from jobs.segments.triggers.ranking import Prepare
from jobs.segments.triggers.rows import TABLES, decision_rows, standing_rows
from jobs.segments.triggers.store import Store


@dataclass(frozen=True)
class Brought:
    """What is new: keys of the events seen for the first time, whom they or anything else has touched, changed memberships.

    `everyone`: whoever has events is looked at, as after a stop.
    """

    event_keys: Sequence[str] = ()
    profiles: frozenset[str] = frozenset()
    turns: Sequence[Turn] = ()
    everyone: bool = False


@dataclass(frozen=True)
class Outcome:
    """Rows of `decisions` and `standings`, as in `rows.TABLES`."""

    decisions: pa.Table
    standings: pa.Table


def as_it_is(program: Program, relation: str = "eval_events", people: str = "attributes") -> Program:
    """For events whose properties are JSON text."""
    return program


class Desk:
    """One book over one catalogue."""

    def __init__(
        self,
        connection: Any,
        book: Book,
        catalogue: Catalogue,
        prepare: Prepare = as_it_is,
        gather_more: Callable[[str], None] | None = None,
    ) -> None:
        """`gather_more`: the evaluator's way to what is known of the profiles of a relation; without it the desk has its own."""
        self.connection = connection
        self.gather_more = gather_more or self._gather
        self.book = book
        self.store = Store(connection)
        self.judge = Judge(connection, book, catalogue, prepare)
        self.exits = book.exits()
        self.program = occasions(book.watched())
        self.query = prepare(self.program).query() if self.program else None

    @property
    def needs(self) -> list[Needs]:
        """What it reads of events and attributes."""
        return [*([self.program.needs] if self.program else []), *self.judge.needs]

    def work(self, brought: Brought, since: datetime, now: datetime) -> Outcome:
        """Decides all that is to be decided after `since` and up to `now`, keeps it, and gives it back.

        What has been decided before is not decided again; what should follow from it and is not there is made up for.
        """
        self._ask(brought, since, now)
        cases = _Cases(self.book, now)
        pending = self._occasions(cases)
        self._turns(cases, brought.turns, now)
        for standing in self.store.due_standings(now):
            cases[standing.profile_id].wake(standing)
        self._remember(cases)
        self._work_off(list(cases.values()))
        outcome = Outcome(
            decision_rows((one for _, case in sorted(cases.items()) for one in case.decided), now),
            standing_rows((one for _, case in sorted(cases.items()) for one in case.moved), now),
        )
        self.store.add("decisions", outcome.decisions)
        self.store.add("standings", outcome.standings)
        self.store.schedule(pending)
        return outcome

    def _ask(self, brought: Brought, since: datetime, now: datetime) -> None:
        touched = {turn.profile_id for turn in brought.turns} | brought.profiles | self.store.due(now)
        touched |= self.store.everyone() if brought.everyone else set()
        self.store.ask(touched, since, now)
        self.store.open_messages(since)
        self.gather_more("asked_occasions")
        self.connection.execute(
            "create or replace temp table fresh as select unnest($1::varchar[]) as event_key",
            [list(brought.event_keys)],
        )

    def _gather(self, whose: str) -> None:
        for gathered, kept in (("eval_events", "known_events"), ("people", "attributes")):
            self.connection.execute(
                f"create or replace temp table {gathered} as from {kept} semi join {whose} using (profile_id)"
            )

    def _occasions(self, cases: "_Cases") -> pa.Table:
        """Puts what events alone have set off into its cases; gives who is due when for what is pending."""
        rows = self.connection.execute(self.query).to_arrow_table().to_pylist() if self.query else []
        for row in rows:
            if not (row["is_new"] or row["is_open"]):
                continue
            occasion = _occasion(row)
            case = cases[occasion.profile_id]
            if occasion.trigger in self.exits:
                exited = ExitEvent(self.exits[occasion.trigger], occasion.occasion_at)
                case.add(occasion.decided_at, Kind.EXIT, exited, key=occasion.occasion_id)
            elif row["is_new"]:
                case.occasion(occasion)
            else:
                case.undone(occasion)
        pending = [{"profile_id": row["profile_id"], "due_at": row["decided_at"]} for row in rows if row["is_pending"]]
        return pa.Table.from_pylist(pending, schema=TABLES["trigger_dues"])

    def _turns(self, cases: "_Cases", turns: Iterable[Turn], now: datetime) -> None:
        """Changed memberships: those by time wait for what is late, the others are occasions at once; and ways back."""
        found: list[Occasion] = []
        for turn in turns:
            for trigger in self.book.triggers.values():
                if trigger.waits_for != turn.segment:
                    continue
                if turn.is_entry is isinstance(trigger.occasion, Leaves):
                    back = WayBack(trigger.name, turn.valid_at)
                    cases[turn.profile_id].add(turn.known_at, Kind.UNDO, back, key=trigger.name)
                elif not turn.is_by_definition:
                    found.append(_turned(trigger, turn))
        later = [_turn_row(one) for one in found if one.decided_at > now]
        self.store.add("turns", pa.Table.from_pylist(later, schema=TABLES["turns"]))
        for one in [one for one in found if one.decided_at <= now] + self.store.turns(now):
            if one.trigger in self.book.triggers:
                cases[one.profile_id].occasion(one)

    def _remember(self, cases: "_Cases") -> None:
        """What is known of those who have something to be worked off."""
        self.store.concern(cases)
        for profile, fired in self.store.history():
            cases[profile].history.append(fired)
        for profile, occasion, decision in self.store.verdicts():
            cases[profile].verdicts[occasion] = decision
        for standing in self.store.standings():
            cases[standing.profile_id].standings[standing.entry_id] = standing

    def _work_off(self, cases: list[Case]) -> None:
        """Everybody's next item, all judged together, until there is none left."""
        while waiting := [case for case in cases if case.items]:
            judged = self.judge.judge(case.next() for case in waiting)
            for case in waiting:
                case.work(judged[case.next()])


class _Cases(dict[str, Case]):
    """Cases by profile, made when they are needed."""

    def __init__(self, book: Book, now: datetime) -> None:
        super().__init__()
        self.book, self.now = book, now

    def __missing__(self, profile: str) -> Case:
        """The case of another profile."""
        self[profile] = Case(profile, self.book, self.now)
        return self[profile]


def _occasion(row: dict[str, Any]) -> Occasion:
    return Occasion(
        trigger=row["trigger_name"],
        profile_id=row["profile_id"],
        event_keys=(row["event_key"],),
        occasion_at=row["occasion_at"],
        decided_at=row["decided_at"],
        undone_at=row["undone_at"],
        undone_known_at=row["undone_known_at"],
    )


def _turned(trigger: Trigger, turn: Turn) -> Occasion:
    decided_at = turn.valid_at + trigger.lateness if turn.is_by_time else turn.known_at
    times = turn.valid_at, decided_at
    return Occasion(trigger.name, turn.profile_id, turn.event_keys, *times, is_turn=True, told_of=turn.told_of)


def _turn_row(occasion: Occasion) -> dict[str, Any]:
    return {
        "trigger_name": occasion.trigger,
        "profile_id": occasion.profile_id,
        "told_of": occasion.told_of,
        "event_keys": list(occasion.event_keys),
        "occasion_at": occasion.occasion_at,
        "decided_at": occasion.decided_at,
    }
