"""Percentiles at moments that the evaluator has left behind, or that it does not know: taken for the occasion, then forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol

from jobs.segments.compile import percentiles
from jobs.segments.compile.collect import Needs
from jobs.segments.compile.program import Program
from jobs.segments.language.model import Catalogue

MOMENTS = "judged_moments"


class Prepare(Protocol):
    """Makes a program fit the events as they are kept, in a relation of that name."""

    def __call__(self, program: Program, relation: str = "eval_events", people: str = "attributes") -> Program:
        """The program over that relation, and over one with the rows of `attributes` of whoever is asked about."""


class Ranking:
    """Completes the evaluator's table `ranked` for the moments in `judged_moments`; reads everybody's events, so that a
    percentile is better a segment of its own, which the evaluator keeps."""

    def __init__(self, connection: Any, catalogue: Catalogue, program: Program, prepare: Prepare) -> None:
        self.connection = connection
        self.zones = [
            (zone, found, percentiles.program_of(catalogue, found))
            for zone, found in percentiles.zones(program).items()
        ]
        self.queries = {zone: prepare(made, "known_events").query() for zone, _, made in self.zones}

    @property
    def needs(self) -> list[Needs]:
        """What it reads of events."""
        return [program.needs for _, _, program in self.zones]

    @contextmanager
    def ranked(self) -> Iterator[None]:
        """While it lasts, `ranked` has what the moments need."""
        added = [(one.key, day) for zone, found, _ in self.zones for day in self._days(zone) for one in found]
        added = [pair for pair in added if not self._is_there(*pair)]
        for zone, found, _ in self.zones:
            for day in sorted({day for key, day in added if key in {one.key for one in found}}):
                missing = [one for one in found if (one.key, day) in added]
                self.connection.execute(
                    "create or replace temp table days_asked as select profile_id, $1 as as_of from attributes", [day]
                )
                self.connection.execute(f"create or replace temp table valued as {self.queries[zone]}")
                self.connection.execute(f"insert into ranked {percentiles.ranked(missing, 'valued')}")
        yield
        for key, day in added:
            self.connection.execute("delete from ranked where percentile = $1 and day = $2", [key, day])

    def _days(self, zone: str) -> list[datetime]:
        self.connection.execute(f"create or replace temp table asked as from {MOMENTS}")
        rows = self.connection.execute(f"select distinct as_of from ({percentiles.days_asked(zone)})").fetchall()
        return [day for (day,) in rows]

    def _is_there(self, key: str, day: datetime) -> bool:
        query = "select count(*) from ranked where percentile = $1 and day = $2"
        return bool(self.connection.execute(query, [key, day]).fetchone()[0])
