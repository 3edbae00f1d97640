"""Which operators and values fit what is compared: a trait, a measure of events, or a property of one."""

from collections.abc import Iterable, Iterator
from datetime import date

from expectations.contracts import FieldContract
from jobs.core.command import hint
from jobs.core.explained import Found
from jobs.segments.language.events import AGED, PERCENT, Compared, Operator, PropertyTest, Value
from jobs.segments.language.text import refused
from jobs.segments.language.traits import Kind

EQUAL = {Operator.EQ, Operator.NE, Operator.IN}
ORDER = {Operator.GT, Operator.GTE, Operator.LT, Operator.LTE}
SPELLED = {Operator.CONTAINS, Operator.STARTS_WITH}
FITTING: dict[Kind, set[Operator]] = {
    Kind.WHOLE: EQUAL | ORDER | PERCENT,
    Kind.NUMBER: EQUAL | ORDER | PERCENT,
    Kind.TEXT: EQUAL | SPELLED,
    Kind.TIME: EQUAL | ORDER | AGED,
    Kind.FLAG: {Operator.IS_TRUE},
}
WORDS = {
    Kind.WHOLE: "a whole number",
    Kind.NUMBER: "a number",
    Kind.TEXT: "text",
    Kind.TIME: "a time",
    Kind.FLAG: "true or false",
}
# What a property of a contract's type is to a rule.
PROPERTY_KINDS = {
    "string": Kind.TEXT,
    "timestamp": Kind.TEXT,
    "date": Kind.TEXT,
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "boolean": Kind.FLAG,
}


def misfits(rule: Compared, kind: Kind, what: str, texts: Iterable[str] = ()) -> Iterator[Found]:
    """What is wrong with the comparison of a trait or measure. `what` names it, `texts` is its closed set, if it has one."""
    operator = rule.operator
    if operator is None or operator is Operator.IS_NULL:
        return
    if operator not in FITTING[kind]:
        fitting = ", ".join(op for op in Operator if op in FITTING[kind] and _has(rule, op))
        yield Found((operator,), f"{what} is {WORDS[kind]}: {operator} has no meaning for it, use {fitting} or is_null")
    elif operator in EQUAL | ORDER | SPELLED:
        for place, value in _written(rule, operator):
            if (
                text := _value_misfit(value, kind, what)
                or (operator in EQUAL and _stranger(value, texts, what))
                or None
            ):
                yield Found(place, text)


def property_misfits(test: PropertyTest, fields: list[FieldContract] | None) -> Iterator[Found]:
    """What is wrong with a test of a property. `fields`: what contracts say of it, by event; None when they say nothing."""
    operator = test.operator
    if operator is None or operator is Operator.IS_NULL:
        return
    kinds = {_operand_kind(value) for value in test.values}
    if Kind.TIME in kinds:
        yield Found((operator,), "a property states times as text: quote the date, and compare it with eq or in")
    elif len(kinds) > 1:
        yield Found(
            (operator,), f"values of one type are wanted; found {' and '.join(sorted(WORDS[k] for k in kinds))}"
        )
    elif (kind := kinds.pop()) is not Kind.NUMBER and operator in ORDER:
        yield Found((operator,), f"{operator} compares numbers; found {WORDS[kind]}: use eq, ne or in")
    elif fields is not None and not any(PROPERTY_KINDS.get(field.type) is kind for field in fields):
        wanted = " or ".join(sorted({WORDS[PROPERTY_KINDS[field.type]] for field in fields}))
        quote = {Kind.TEXT: "without quotes", Kind.NUMBER: "in quotes"}.get(kind, "otherwise")
        yield Found((operator,), f"{test.property_} is {wanted}; found {WORDS[kind]}: write it {quote}")
    else:
        texts = {text for field in fields or () for text in field.allowed}
        is_closed = operator in EQUAL and all(field.allowed for field in fields or ())
        for place, value in _written(test, operator):
            if text := _odd_text(value) or (is_closed and _stranger(value, texts, test.property_)) or None:
                yield Found(place, text)


def _has(rule: Compared, operator: Operator) -> bool:
    return operator in type(rule).model_fields or operator is Operator.IN


def _written(rule: Compared, operator: Operator) -> Iterator[tuple[tuple[str | int, ...], Value]]:
    for index, value in enumerate(rule.values):
        yield ((operator, index) if operator is Operator.IN else (operator,)), value


def _operand_kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return Kind.FLAG
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.TIME if isinstance(value, date) else Kind.TEXT


def _value_misfit(value: Value, kind: Kind, what: str) -> str | None:
    found = _operand_kind(value)
    if found is not kind and not (kind is Kind.WHOLE and isinstance(value, int) and found is Kind.NUMBER):
        shown = value.isoformat() if isinstance(value, date) else repr(value)
        quote = "; quote it, if text is meant" if kind is Kind.TEXT else ""
        return f"{what} is {WORDS[kind]}; found {shown}{quote}"
    return _odd_text(value)


def _odd_text(value: Value) -> str | None:
    return refused(value) if isinstance(value, str) else None


def _stranger(value: Value, texts: Iterable[str], what: str) -> str | None:
    known = list(texts)
    spelled = value if isinstance(value, str) else format(value, "g") if isinstance(value, int | float) else None
    if not known or spelled is None or spelled in known:
        return None
    return f"{what} is never {value!r}.{hint(spelled, known)}"
