"""Measures as aggregates over a profile's marked events: the value, and when time alone next changes it."""

from dataclasses import dataclass

from sqlglot import exp

from jobs.segments.compile import windows
from jobs.segments.compile.nodes import column, filtered, sql
from jobs.segments.compile.portable import call
from jobs.segments.compile.properties import Property
from jobs.segments.language.events import Aggregate, Measure


@dataclass(frozen=True)
class Aggregated:
    """A value over the rows of one profile and moment, and the next moment at which it may change; None: time changes nothing."""

    value: exp.Expr
    due: exp.Expr | None


def read_by(measure: Measure) -> Property | None:
    """The property that a measure is made of."""
    if measure.aggregate in (Aggregate.COUNT, Aggregate.TIME):
        return None
    is_number = measure.aggregate in (Aggregate.SUM, Aggregate.MIN, Aggregate.MAX)
    return Property(str(measure.of), "number" if is_number else "text")


def aggregated(measure: Measure, mark: exp.Expr, zone: str) -> Aggregated:
    """`mark`: whether the row's event is one of those meant (never NULL on a row of an event)."""
    rows = exp.and_(mark, *windows.within(measure, zone))
    return Aggregated(_value(measure, rows), windows.next_change(measure, zone, mark.copy()))


def _value(measure: Measure, rows: exp.Expr) -> exp.Expr:
    kind, prop = measure.aggregate, read_by(measure)
    if kind is Aggregate.COUNT:
        return filtered(sql("count(*)"), rows)
    if kind is Aggregate.TIME:
        return filtered(sql("min(:at)" if measure.time == "first" else "max(:at)", at=windows.happened()), rows)
    assert prop is not None
    of = column(prop.column)
    if kind is Aggregate.DISTINCT:
        return filtered(sql("count(distinct :of)", of=of), rows)
    if kind is Aggregate.SUM:
        return sql("coalesce(:total, 0)", total=filtered(sql("sum(:of)", of=of), rows))
    if kind in (Aggregate.MIN, Aggregate.MAX):
        return filtered(sql(f"{kind.value}(:of)", of=of), rows)
    stated = exp.and_(rows, sql(":of is not null", of=of.copy()))
    name = "first_by" if kind is Aggregate.FIRST_VALUE else "last_by"
    order = {"at": windows.happened(), "position": column("receive_position"), "event_key": column("event_key")}
    return filtered(call(name, value=of, **order), stated)
