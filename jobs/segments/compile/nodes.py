"""Small makers of SQL expressions: templates whose values are nodes, and literals that mean the same on every engine."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from sqlglot import exp, parse_one


@lru_cache(maxsize=512)
def _parsed(template: str) -> exp.Expr:
    return parse_one(template, dialect="duckdb")


def sql(template: str, **nodes: exp.Expr) -> exp.Expr:
    """The expression of a template written in this package, with `:name` replaced by nodes. Never for text from outside."""
    return exp.replace_placeholders(_parsed(template).copy(), **nodes)


def column(name: str) -> exp.Column:
    """A column by its name."""
    return exp.column(name)


def text(value: str) -> exp.Expr:
    """A text literal."""
    return exp.Literal.string(value)


def number(value: float | int | Decimal) -> exp.Expr:
    """A number literal; of a float, rounded to six decimals as the numbers of events are: after a multiplication of doubles."""
    exact = (
        Decimal(value * 1e6).quantize(Decimal(1), ROUND_HALF_UP).scaleb(-6)
        if isinstance(value, float)
        else Decimal(value)
    )
    return exp.Literal.number(format(exact.normalize(), "f"))


def moment(value: datetime | date) -> exp.Expr:
    """A UTC time literal; what has no offset is UTC."""
    full = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    utc = full.astimezone(UTC) if full.tzinfo else full
    shown = utc.strftime("%Y-%m-%d %H:%M:%S") + (f".{utc.microsecond:06d}" if utc.microsecond else "")
    return exp.cast(exp.Literal.string(shown), "timestamp")


def interval(length: timedelta) -> exp.Expr:
    """A length of time in its largest whole unit."""
    seconds = int(length.total_seconds())
    unit, size = next(
        pair for pair in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)) if not seconds % pair[1]
    )
    return exp.Interval(this=exp.Literal.string(str(seconds // size)), unit=exp.var(unit))


def micros(length: timedelta) -> int:
    """The length in microseconds."""
    return int(length / timedelta(microseconds=1))


def all_of(conditions: list[exp.Expr]) -> exp.Expr:
    """Every condition; true when there is none."""
    return exp.and_(*conditions) if conditions else exp.true()


def aliased(expression: exp.Expr, name: str) -> exp.Expr:
    """The expression under a name of its own."""
    return exp.Alias(this=expression, alias=exp.to_identifier(name))


def known(condition: exp.Expr) -> exp.Expr:
    """The condition with unknown taken as no."""
    return exp.Coalesce(this=condition, expressions=[exp.false()])


def filtered(aggregate: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """The aggregate over the rows for which the condition holds."""
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition))


def earliest(moments: list[exp.Expr]) -> exp.Expr:
    """The earliest of those that are known; NULL when none is."""
    if not moments:
        return exp.cast(exp.null(), "timestamp")
    return moments[0] if len(moments) == 1 else exp.Anonymous(this="least", expressions=moments)
