"""A catalogue as one query: named steps from events to traits, segments and the moment at which time alone next changes them.

Relations it reads (times are UTC without zone):

- `eval_events`: profile_id, event_key, name, effective_at, received_at, receive_position, properties (JSON text);
- `asked`: profile_id, as_of: who is evaluated, and at which moment; several moments of one profile are fine;
- `attributes`: profile_id and the attribute columns that rules name; every profile that exists has a row;
- `ranked`: percentile (`Percentile.key`), day (UTC), profile_id: who is in which percentile on which day; if there are any.

It gives one row per different row of `asked`: profile_id, as_of, `trait_<name>`, `in_<name>` (never NULL) and due_at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from jobs.segments.compile.collect import Needs, Percentile
from jobs.segments.compile.nodes import aliased, column, earliest, sql, text
from jobs.segments.compile.portable import Engine, call, to_sql
from jobs.segments.compile.rules import Writer, segment_column, trait_column
from jobs.segments.compile.windows import happened, unit_start
from jobs.segments.language.model import Catalogue
from jobs.segments.language.references import TRAIT, levels
from jobs.segments.language.units import Unit

KEYS = ("profile_id", "as_of")
Step = tuple[str, exp.Select]


@dataclass(frozen=True)
class Program:
    """The steps of a query in order, the last of them its result; and what it reads of events."""

    steps: tuple[Step, ...]
    needs: Needs

    @property
    def percentiles(self) -> tuple[Percentile, ...]:
        """What must stand in `ranked` before it runs."""
        return tuple(sorted(self.needs.percentiles))

    def query(self, engine: Engine = Engine.DUCKDB) -> str:
        """The whole as text."""
        last = exp.select("*").from_(self.steps[-1][0])
        for name, step in self.steps:
            last = last.with_(name, as_=step.copy(), copy=False)
        return to_sql(last, engine)


def compiled(catalogue: Catalogue, asked: str = "asked", attributes: Iterable[str] = ()) -> Program:
    """The program of a resolved catalogue, for the moments in the relation `asked`; names and kinds were judged before.

    `attributes`: those that the result shows too, as `trait_<name>`.
    """
    writer = Writer(catalogue)
    writer.needs.attributes |= set(attributes)
    made = [_level(writer, catalogue, level) for level in levels(catalogue)]
    steps: list[Step] = [
        ("moments", exp.select(*KEYS).distinct(copy=False).from_(asked, copy=False)),
        *event_steps(writer.needs),
    ]
    steps.append(("measured", _measured(writer.needs, steps[-1][0])))
    steps.append(("profile_rows", _profile_rows(writer.needs)))
    for place, columns in enumerate(made, start=1):
        steps.append((f"made_{place}", _with(columns, steps[-1][0])))
    return Program((*steps, ("result", _result(writer, catalogue, steps[-1][0], attributes))), writer.needs)


def _level(writer: Writer, catalogue: Catalogue, names: list[tuple[str, str]]) -> dict[str, exp.Expr]:
    columns: dict[str, exp.Expr] = {}
    for kind, name in names:
        if kind == TRAIT:
            columns[trait_column(name)] = writer.trait(catalogue.traits[name])
        else:
            columns[segment_column(name)] = writer.segment(catalogue.segments[name])
    return columns


def _with(columns: Mapping[str, exp.Expr], relation: str) -> exp.Select:
    made = [aliased(expression, name) for name, expression in columns.items()]
    return exp.select("*", *made).from_(relation, copy=False)


def event_steps(needs: Needs) -> list[Step]:
    """`events`: those that count for anything, typed; `marked`: what each is, at each moment at which it is known; chains."""
    plain = ("profile_id", "event_key", "name", "effective_at", "received_at", "receive_position")
    events = exp.select(*plain, *(aliased(prop.extracted(), prop.column) for prop in sorted(needs.properties)))
    names = [text(name) for name in needs.event_names]
    events = events.from_("eval_events", copy=False).where(
        exp.In(this=column("name"), expressions=names) if names else exp.false(), copy=False
    )
    marks = [aliased(match.condition, name) for name, match in sorted(needs.marks.items())]
    is_known = sql("events.profile_id = moments.profile_id and events.received_at <= moments.as_of")
    marked = exp.select("events.*", "moments.as_of", aliased(call("micros", at=happened()), "at_micros"), *marks)
    steps: list[Step] = [
        ("events", events),
        ("marked", marked.from_("events", copy=False).join("moments", on=is_known, copy=False)),
    ]
    chains = [chain.columns for chain in needs.chains.values()]
    for depth in range(max((len(columns) for columns in chains), default=0)):
        columns = dict(chain[depth] for chain in chains if len(chain) > depth)
        steps.append((f"chained_{depth + 1}", _with(columns, steps[-1][0])))
    return steps


def _measured(needs: Needs, rows: str) -> exp.Select:
    """One row per profile and moment: measures, chains, and when time may first change one of them."""
    values = {name: found.value for name, found in needs.measures.items()}
    values |= {name: chain.holds for name, chain in needs.chains.items()}
    found = [*(m.due for m in needs.measures.values()), *(c.due for c in needs.chains.values())]
    dues = [due for due in found if due is not None]
    made = [aliased(expression, name) for name, expression in values.items()]
    selected = exp.select(*KEYS, *made, aliased(earliest(dues), "due_by_events")).from_("moments", copy=False)
    return selected.join(rows, using=list(KEYS), join_type="left", copy=False).group_by(*KEYS, copy=False)


def _profile_rows(needs: Needs) -> exp.Select:
    """`measured` with the attributes that rules name, and who is in which percentile."""
    chosen = [exp.column(name, table="attributes") for name in sorted(needs.attributes)]
    rows = exp.select("measured.*", *chosen).from_("measured", copy=False)
    if needs.attributes:
        rows = rows.join("attributes", on="measured.profile_id = attributes.profile_id", join_type="left", copy=False)
    for found in sorted(needs.percentiles):
        name = f"{found.column}_ranks"
        day = unit_start(Unit.DAY, found.zone, at=exp.column("as_of", table="measured"))
        on = exp.and_(
            exp.column("percentile", table=name).eq(text(found.key)),
            exp.column("profile_id", table=name).eq(exp.column("profile_id", table="measured")),
            exp.column("day", table=name).eq(day),
        )
        is_in = sql(":id is not null", id=exp.column("profile_id", table=name))
        rows = rows.select(aliased(is_in, found.column), copy=False).join(
            exp.to_table("ranked").as_(name), on=on, join_type="left"
        )
    return rows


def _result(writer: Writer, catalogue: Catalogue, relation: str, attributes: Iterable[str]) -> exp.Select:
    shown = [aliased(column(name), trait_column(name)) for name in attributes]
    due = earliest([column("due_by_events"), *writer.dues])
    names = [*map(trait_column, catalogue.traits), *map(segment_column, catalogue.segments)]
    return exp.select(*KEYS, *names, *shown, aliased(due, "due_at")).from_(relation, copy=False)
