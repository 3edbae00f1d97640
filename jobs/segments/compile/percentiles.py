"""Percentiles: who is in the top or bottom share of a trait at the start of a day, from what was known then."""

from sqlglot import exp

from jobs.segments.compile.collect import Percentile
from jobs.segments.compile.nodes import column, number, sql, text
from jobs.segments.compile.portable import Engine, to_sql
from jobs.segments.compile.program import Program, compiled
from jobs.segments.compile.rules import trait_column
from jobs.segments.compile.windows import unit_start
from jobs.segments.language.model import Catalogue
from jobs.segments.language.references import TRAIT, only
from jobs.segments.language.units import Unit


def zones(program: Program) -> dict[str, list[Percentile]]:
    """The percentiles of a program by the time zone of their days."""
    found: dict[str, list[Percentile]] = {}
    for percentile in program.percentiles:
        found.setdefault(percentile.zone, []).append(percentile)
    return found


def days_asked(zone: str, engine: Engine = Engine.DUCKDB) -> str:
    """A query for `days_asked`: everybody at the start of each day that a moment in `asked` lies in."""
    return to_sql(everybody(zone), engine)


def everybody(zone: str) -> exp.Select:
    """The same as an expression."""
    days = exp.select(exp.alias_(unit_start(Unit.DAY, zone), "as_of")).distinct().from_("asked").subquery("days")
    return exp.select("attributes.profile_id", "days.as_of").from_("attributes").join(days, join_type="cross")


def program_of(catalogue: Catalogue, percentiles: list[Percentile]) -> Program:
    """The program that gives the traits and attributes ranked, for the starts of days in the relation `days_asked`."""
    names = {percentile.trait for percentile in percentiles}
    made = {(TRAIT, name) for name in names & set(catalogue.traits)}
    return compiled(only(catalogue, made), "days_asked", sorted(names - set(catalogue.traits)))


def ranked(percentiles: list[Percentile], values: str, engine: Engine = Engine.DUCKDB) -> str:
    """A query for rows of `ranked` out of the relation `values`, the result of that program.

    Of N profiles whose value is known and not 0, those with fewer than N x share strictly above (or below) them.
    """
    parts = [members(percentile, values) for percentile in percentiles]
    whole: exp.Query = parts[0]
    for part in parts[1:]:
        whole = exp.union(whole, part, distinct=False)
    return to_sql(whole, engine)


def members(percentile: Percentile, values: str) -> exp.Select:
    """The rows of one percentile."""
    name = trait_column(percentile.trait)
    order = exp.Ordered(this=column(name), desc=percentile.is_top, nulls_first=False)
    place = exp.Window(this=sql("rank()"), partition_by=[column("as_of")], order=exp.Order(expressions=[order]))
    count = exp.Window(this=sql("count(*)"), partition_by=[column("as_of")])
    placed = exp.select("profile_id", "as_of", exp.alias_(place, "place"), exp.alias_(count, "held"))
    placed = placed.from_(values).where(sql(":value <> 0", value=column(name)))
    share = percentile.share
    is_in = sql("(place - 1) * :whole < held * :part", whole=number(share.denominator), part=number(share.numerator))
    key = exp.alias_(text(percentile.key), "percentile")
    return (
        exp.select(key, exp.alias_(column("as_of"), "day"), "profile_id").from_(placed.subquery("placed")).where(is_in)
    )
