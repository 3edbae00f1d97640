"""Properties of events as typed columns, meaning the same on every engine; tests of them; which events are meant."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlglot import exp

from jobs.segments.compile.nodes import all_of, column, known, moment, number, sql, text
from jobs.segments.compile.portable import call
from jobs.segments.language.events import Matched, Operator, PropertyTest, Value

BINARY: dict[Operator, type[exp.Binary]] = {
    Operator.EQ: exp.EQ,
    Operator.NE: exp.NullSafeNEQ,  # what is unknown is "not equal" too
    Operator.GT: exp.GT,
    Operator.GTE: exp.GTE,
    Operator.LT: exp.LT,
    Operator.LTE: exp.LTE,
}


@dataclass(frozen=True, order=True)
class Property:
    """One property in one reading: "text", "number", or "given" (whether it has any value)."""

    path: str
    reading: str

    @property
    def column(self) -> str:
        """The column that holds it. Engines take upper and lower case of a column for one; JSON does not."""
        if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", self.path):
            return f"{self.path}_{self.reading}"
        slug = self.path.lower().replace(".", "_")
        return f"{slug}_{hashlib.sha256(self.path.encode()).hexdigest()[:6]}_{self.reading}"

    def extracted(self) -> exp.Expr:
        """It, out of the JSON text in the column `properties`; NULL when it is not there or cannot be read so."""
        return call(f"property_{self.reading}", document=column("properties"), path=text(f"$.{self.path}"))


@dataclass(frozen=True)
class Match:
    """Whether an event is one of those meant (never NULL), and the properties that this is read from."""

    condition: exp.Expr
    names: tuple[str, ...]
    properties: frozenset[Property]


def matching(matched: Matched) -> Match:
    """The condition of event names and property tests, over the typed columns."""
    names = [text(name) for name in matched.names]
    named = exp.In(this=column("name"), expressions=names) if len(names) > 1 else column("name").eq(names[0])
    tests = [_test(rule) for rule in matched.where]
    condition = all_of([named, *(known(test) for test, _ in tests)])
    return Match(condition, matched.names, frozenset(prop for _, prop in tests))


def _test(rule: PropertyTest) -> tuple[exp.Expr, Property]:
    if rule.operator is Operator.IS_NULL:
        prop = Property(rule.property_, "given")
        there = column(prop.column)
        return (exp.Not(this=there) if rule.is_null else there), prop
    prop = Property(rule.property_, "number" if _is_number(rule.values[0]) else "text")
    values = [str(value).lower() if isinstance(value, bool) else value for value in rule.values]
    return compared(column(prop.column), rule.operator, values), prop


def compared(value: exp.Expr, operator: Operator | None, values: Sequence[Value]) -> exp.Expr:
    """A value against one literal, or against several (`in`); NULL when the value is unknown, but for `ne`."""
    literals = [_literal(item) for item in values]
    if operator is Operator.IN:
        return exp.In(this=value, expressions=literals)
    if operator is Operator.CONTAINS:
        return sql("contains(:value, :part)", value=value, part=literals[0])
    if operator is Operator.STARTS_WITH:
        return sql("left(:value, :length) = :part", value=value, length=number(len(str(values[0]))), part=literals[0])
    assert operator is not None
    return BINARY[operator](this=value, expression=literals[0])


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _literal(value: Value) -> exp.Expr:
    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int | float):
        return number(value)
    return moment(value) if isinstance(value, date) else text(value)
