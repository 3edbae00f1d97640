"""Windows as conditions on an event's time, and the moment at which time alone next changes what lies in one."""

from sqlglot import exp

from jobs.segments.compile.nodes import column, filtered, interval, moment, sql, text
from jobs.segments.compile.portable import call
from jobs.segments.language.units import Unit, Windowed, instant

MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}
DAYS = {Unit.DAY: 1, Unit.WEEK: 7}


def happened() -> exp.Expr:
    """When the event of the row counts."""
    return column("effective_at")


def now() -> exp.Expr:
    """The moment that the row's profile is asked for."""
    return column("as_of")


def within(window: Windowed, zone: str) -> list[exp.Expr]:
    """What must hold for the row's event to lie in the window; it has happened by `as_of`, as all rows have."""
    conditions: list[exp.Expr] = []
    if window.last is not None:
        conditions.append(
            exp.GT(this=happened(), expression=sql(":now - :length", now=now(), length=interval(window.last)))
        )
    if window.this is not None:
        conditions.append(exp.GTE(this=happened(), expression=unit_start(window.this, zone)))
    if window.previous is not None:
        unit, count = window.previous.unit, window.previous.count
        conditions.append(exp.GTE(this=happened(), expression=unit_start(unit, zone, -count)))
        conditions.append(exp.LT(this=happened(), expression=unit_start(unit, zone)))
    if window.since is not None:
        conditions.append(exp.GTE(this=happened(), expression=moment(instant(window.since, zone))))
    if window.until is not None:
        conditions.append(exp.LT(this=happened(), expression=moment(instant(window.until, zone))))
    return conditions


def next_change(window: Windowed, zone: str, matches: exp.Expr) -> exp.Expr | None:
    """The moment at which the next of the matching events enters or leaves the window, over a profile's rows; None: never.

    May be early (an event of no consequence leaves), never late.
    """
    if window.last is not None:
        leaving = filtered(sql("min(:at)", at=happened()), exp.and_(matches, *within(window, zone)))
        return sql(":leaving + :length", leaving=leaving, length=interval(window.last))
    unit = window.this or (window.previous.unit if window.previous else None)
    if unit is None:
        return None
    start = unit_start(unit, zone, -window.previous.count if window.previous else 0)
    held = exp.and_(matches, exp.GTE(this=happened(), expression=start))
    return filtered(sql("min(:next)", next=unit_start(unit, zone, 1)), held)


def unit_start(unit: Unit, zone: str, ahead: int = 0, *, at: exp.Expr | None = None) -> exp.Expr:
    """The first instant of the unit that lies `ahead` of the one `at` lies in (`as_of`), as their calendar has it in `zone`.

    A day begins at the first instant that has its date, and has ended when the next one begins: where a clock is put back over
    a midnight that has passed, the new day stays. A day that a zone leaves out begins where the one after it does.
    """
    at = now() if at is None else at
    months = MONTHS.get(unit, 0) * ahead
    count, name = (months, "month") if unit in MONTHS else (DAYS[unit] * ahead, "day")
    shift = exp.Interval(this=text(str(count)), unit=exp.var(name))
    if zone == "UTC":
        start = sql("date_trunc(:unit, :at)", unit=text(unit.value), at=at)
        return start if ahead == 0 else exp.Add(this=start, expression=shift)
    return call("unit_start", unit=text(unit.value), at=at, shift=shift, zone=text(zone))
