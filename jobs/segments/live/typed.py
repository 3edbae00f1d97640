"""A program over events whose properties were typed when they came, instead of each time that they are looked at."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlglot import exp

from jobs.segments.compile.collect import Needs
from jobs.segments.compile.nodes import text
from jobs.segments.compile.portable import Engine, to_sql
from jobs.segments.compile.program import Program
from jobs.segments.compile.properties import Property

PLAIN = {
    "profile_id": "varchar",
    "event_key": "varchar",
    "name": "varchar",
    "effective_at": "timestamp",
    "received_at": "timestamp",
    "receive_position": "bigint",
}
READINGS = {"text": "varchar", "number": "decimal(18, 6)", "given": "boolean"}


@dataclass(frozen=True)
class Kept:
    """What is kept of events: those of these names, with these properties."""

    names: tuple[str, ...]
    properties: tuple[Property, ...]

    @classmethod
    def of(cls, needs: Iterable[Needs]) -> "Kept":
        """What several programs need together."""
        every = list(needs)
        names = {name for one in every for name in one.event_names}
        properties = {prop for one in every for prop in one.properties}
        return cls(tuple(sorted(names)), tuple(sorted(properties)))

    @property
    def columns(self) -> dict[str, str]:
        """Column → DuckDB type of the events kept."""
        return PLAIN | {prop.column: READINGS[prop.reading] for prop in self.properties}

    def typing(self, source: str, engine: Engine = Engine.DUCKDB) -> str:
        """A query for the events to keep, out of a relation with the plain columns and `properties` (JSON text)."""
        made = [exp.alias_(prop.extracted(), prop.column) for prop in self.properties]
        rows = exp.select(*PLAIN, *made).from_(source)
        named = exp.In(this=exp.column("name"), expressions=[text(name) for name in self.names])
        return to_sql(rows.where(named if self.names else exp.false()), engine)


def over_typed(program: Program, relation: str = "eval_events", people: str = "attributes") -> Program:
    """The program over a relation of events that are typed and of the names that count, and one of profiles and attributes."""
    columns = [*PLAIN, *(prop.column for prop in sorted(program.needs.properties))]
    events = exp.select(*columns).from_(relation)
    names = [text(name) for name in program.needs.event_names]
    events = events.where(exp.In(this=exp.column("name"), expressions=names) if names else exp.false())
    return replace(
        program,
        steps=tuple((name, events if name == "events" else _over(step, people)) for name, step in program.steps),
    )


def _over(step: exp.Select, people: str) -> exp.Select:
    """The step with another relation in the place of `attributes`, under that name."""
    made = step.copy()
    for table in made.find_all(exp.Table):
        if table.name == "attributes":
            table.replace(exp.to_table(people).as_("attributes"))
    return made
