"""Who is in which percentile, kept for the days at work: taken once for everybody, then only for whom something has changed.

A percentile of a day is taken from what was received by its start. Events that were received before and arrive after move it;
so do new profiles, and profiles that change hands. Their values are taken anew, and whoever crosses the border is looked at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlglot import exp

from jobs.segments.compile import percentiles
from jobs.segments.compile.collect import Needs, Percentile
from jobs.segments.compile.portable import to_sql
from jobs.segments.compile.program import Program
from jobs.segments.compile.windows import unit_start
from jobs.segments.language.model import Catalogue
from jobs.segments.language.units import Unit
from jobs.segments.live.state import Cause
from jobs.segments.live.typed import over_typed

# Those who are to be looked at on account of others.
OTHERS = f"(select profile_id from stops where cause = '{Cause.OTHERS}')"


@dataclass(frozen=True)
class _Zone:
    """The percentiles whose days begin in one time zone."""

    percentiles: list[Percentile]
    program: Program
    days: str
    values: str

    @property
    def keys(self) -> list[str]:
        """Their names in `ranked`."""
        return [percentile.key for percentile in self.percentiles]

    @cached_property
    def members(self) -> str:
        """The query for who is in them, over `valued`; written once, as are those of the values."""
        return percentiles.ranked(self.percentiles, "valued")

    @cached_property
    def queries(self) -> dict[str, str]:
        """Relation of events → the query of the values over it."""
        return {events: over_typed(self.program, events).query() for events in ("known_events", "eval_events")}


class Ranks:
    """The table `ranked` of a catalogue, and the values that it comes from."""

    def __init__(self, connection: Any, catalogue: Catalogue, program: Program) -> None:
        self.connection = connection
        self.zones = [
            _Zone(found, percentiles.program_of(catalogue, found), _days_of(zone), f"values_{place}")
            for place, (zone, found) in enumerate(percentiles.zones(program).items())
        ]
        self.kept: dict[str, set[datetime]] = {zone.values: set() for zone in self.zones}

    @property
    def needs(self) -> list[Needs]:
        """What it reads of events."""
        return [zone.program.needs for zone in self.zones]

    def create(self) -> None:
        """Makes the table, empty, and leaves nothing of an evaluator that was before in the connection."""
        for zone in self.zones:
            self.connection.execute(f"drop table if exists {zone.values}")
        self.connection.execute(
            "create or replace table ranked (percentile varchar, day timestamp, profile_id varchar)"
        )

    def ensure(self) -> None:
        """Takes the percentiles of those days of `asked` that are not there yet."""
        for zone in self.zones:
            found = {row[0] for row in self.connection.execute(zone.days).fetchall()}
            for day in sorted(found - self.kept[zone.values]):
                self.connection.execute(
                    "create or replace temp table days_asked as select profile_id, $day as as_of from attributes",
                    {"day": day},
                )
                self._value(zone, "known_events")
                self._rank(zone, day)
                self.kept[zone.values].add(day)

    def refresh(self, now: datetime, gather_more: Callable[[str], None]) -> None:
        """After arrivals: values of the profiles concerned taken anew, and stops for whoever is on another side now; what is
        known of those is gathered too."""
        for zone in self.zones:
            for day in sorted(self.kept[zone.values]):
                self._refresh(zone, day, now, gather_more)

    def prune(self) -> None:
        """Keeps the latest day of each zone: everybody has been looked at since it began."""
        for zone in self.zones:
            days = self.kept[zone.values]
            for day in sorted(days)[:-1]:
                self._forget(zone, day)
                self.connection.execute(f"delete from {zone.values} where as_of = $day", {"day": day})
                days.discard(day)

    def _refresh(self, zone: _Zone, day: datetime, now: datetime, gather_more: Callable[[str], None]) -> None:
        run = self.connection.execute
        run(
            "create or replace temp table days_asked as select distinct profile_id, $day as as_of from"
            " (select profile_id from arrived where received_at <= $day union all select profile_id from stops"
            " where cause <> $event union all select profile_id from stops anti join now_held using (profile_id))"
            " semi join attributes using (profile_id)",
            {"day": day, "event": Cause.EVENT},
        )
        gone = f"select 1 from {zone.values} anti join attributes using (profile_id) where as_of = $day limit 1"
        if not run("from days_asked limit 1").fetchone() and not run(gone, {"day": day}).fetchone():
            return
        run(
            f"delete from {zone.values} where as_of = $day and (profile_id in (select profile_id from days_asked)"
            " or profile_id not in (select profile_id from attributes))",
            {"day": day},
        )
        self._value(zone, "eval_events")
        run("create or replace temp table ranked_before as from ranked where day = $day", {"day": day})
        self._forget(zone, day)
        self._rank(zone, day)
        both = "select percentile, profile_id from {0} where day = $day and percentile in (select unnest($keys))"
        before, after = both.format("ranked_before"), both.format("ranked")
        run(
            f"insert into stops select distinct profile_id, held.moment, $cause, $now from ((({before}) except ({after}))"
            f" union all (({after}) except ({before}))) inner join held using (profile_id)",
            {"day": day, "keys": zone.keys, "cause": Cause.OTHERS, "now": now},
        )
        gather_more(OTHERS)

    def _value(self, zone: _Zone, events: str) -> None:
        """Adds the values of `days_asked`."""
        query = zone.queries[events]
        self.connection.execute(f"create table if not exists {zone.values} as {query} limit 0")
        self.connection.execute(f"insert into {zone.values} {query}")

    def _rank(self, zone: _Zone, day: datetime) -> None:
        run = self.connection.execute
        run(f"create or replace temp table valued as from {zone.values} where as_of = $day", {"day": day})
        run(f"insert into ranked {zone.members}")

    def _forget(self, zone: _Zone, day: datetime) -> None:
        query = "delete from ranked where day = $day and percentile in (select unnest($keys))"
        self.connection.execute(query, {"day": day, "keys": zone.keys})


def _days_of(zone: str) -> str:
    """A query for the starts of the days that the moments of `asked` lie in."""
    return to_sql(exp.select(exp.alias_(unit_start(Unit.DAY, zone), "day")).distinct().from_("asked"))
