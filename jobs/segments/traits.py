"""The traits a rule may use: columns of `dim_profiles`, with the types its contract promises; and what fits them."""

import difflib
from collections.abc import Mapping
from datetime import date
from functools import cache

from expectations import contracts
from expectations.contracts import Column
from jobs.core.errors import PermanentError
from jobs.segments.language.text import REFUSED_TEXT
from jobs.segments.rules import Comparison, Operator, Value

NOT_TRAITS = frozenset({"profile_id", "as_of"})
ORDERED = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE})
NUMBERS = ("long", "double", "decimal")


class TraitError(PermanentError):
    """A rule names a trait that does not exist or compares it with what it cannot be; the message names the remedy."""


@cache
def traits() -> Mapping[str, Column]:
    """Trait name → its column in the contract of `dim_profiles`."""
    columns = contracts.marts()["dim_profiles"].columns
    return {column.name: column for column in columns if column.name not in NOT_TRAITS}


def trait(name: str) -> Column:
    """The trait; raises TraitError naming the nearest."""
    known = traits()
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        raise TraitError(f"unknown trait {name!r}; {hint}")
    return known[name]


def check(rule: Comparison) -> Column:
    """The trait of a comparison whose operator and values fit it; raises TraitError."""
    column = trait(rule.trait)
    operator = rule.operator
    if operator is Operator.IS_NULL:
        return column
    is_flag = column.type == "boolean"
    if is_flag != (operator is Operator.IS_TRUE):
        wanted = "is_true or is_null" if is_flag else "a comparison with a value"
        raise TraitError(f"trait {column.name!r} is {column.type}: use {wanted}, not {operator}")
    if operator in ORDERED and column.type == "string":
        raise TraitError(f"trait {column.name!r} is text, {operator} has no meaning for it: use eq, ne or in")
    for value in rule.values:
        _check_value(column, value)
    return column


def _check_value(column: Column, value: Value) -> None:
    if not _fits(column.type, value):
        raise TraitError(f"trait {column.name!r} is {column.type}, found {value!r} ({type(value).__name__})")
    if isinstance(value, str):
        if column.allowed and value not in column.allowed:
            near = difflib.get_close_matches(value, column.allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(column.allowed)}"
            raise TraitError(f"trait {column.name!r} is never {value!r}; {hint}")
        check_text(value)


def _fits(kind: str, value: Value) -> bool:
    if kind == "boolean" or isinstance(value, bool):
        return kind == "boolean" and isinstance(value, bool)
    if kind == "long":
        return isinstance(value, int)
    if kind.startswith(NUMBERS):
        return isinstance(value, int | float)
    return isinstance(value, date if kind in ("timestamp", "date") else str)


def check_text(value: str) -> None:
    """Refuses text that dbt or one of the two engines would not take literally; raises TraitError."""
    found = [part for part in REFUSED_TEXT if part in value]
    if found or not value.isprintable():
        what = ", ".join(found) or "a control character"
        raise TraitError(
            f"text {value!r} contains {what}, which dbt, DuckDB and Spark read differently; write it otherwise"
        )
