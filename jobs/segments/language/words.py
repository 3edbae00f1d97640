"""Rules in plain words, for explanations and reviews: one line for each rule that has no others inside it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from jobs.segments.language import rules as shapes
from jobs.segments.language.events import PERCENT, Aggregate, Compared, Matched, Measure, Operator, PropertyTest, Value
from jobs.segments.language.units import Windowed, spoken

SIGNS = {
    Operator.EQ: "is",
    Operator.NE: "is not",
    Operator.GT: "above",
    Operator.GTE: "at least",
    Operator.LT: "below",
    Operator.LTE: "at most",
    Operator.IN: "is one of",
    Operator.CONTAINS: "contains",
    Operator.STARTS_WITH: "begins with",
    Operator.OLDER_THAN: "at least",
    Operator.NEWER_THAN: "less than",
}
MADE = {
    Aggregate.COUNT: "number of",
    Aggregate.SUM: "sum of {of} over",
    Aggregate.MIN: "lowest {of} of",
    Aggregate.MAX: "highest {of} of",
    Aggregate.DISTINCT: "different {of} of",
    Aggregate.FIRST_VALUE: "{of} of the first",
    Aggregate.LAST_VALUE: "{of} of the last",
    Aggregate.TIME: "time of the {of}",
}


def in_words(rule: shapes.AnyRule) -> str:
    """The rule in a line; of a rule with others inside it only how they are joined."""
    joined: dict[type, str] = {
        shapes.AllOf: "all of",
        shapes.AnyOf: "any of",
        shapes.NoneOf: "none of",
        shapes.Not: "not",
    }
    if type(rule) in joined:
        return joined[type(rule)]
    if isinstance(rule, shapes.EventRule):
        return f"{measured(rule)} {_comparison(rule) if rule.operator else 'at least 1'}"
    if isinstance(rule, shapes.TraitRule):
        return f"{rule.trait} {_comparison(rule)}"
    if isinstance(rule, shapes.SequenceRule):
        return _sequence(rule)
    if isinstance(rule, shapes.FollowRule):
        follower = _matched(rule.not_followed_by)
        same = f" with the same {rule.same}" if rule.same else ""
        last = f", in the last {spoken(rule.last)}" if rule.last else ""
        return f"{_matched(rule)} without {follower}{same} within {spoken(rule.within)}{last}"
    return f"member of {rule.segment}" if isinstance(rule, shapes.SegmentRule) else "everyone"


def measured(measure: Measure) -> str:
    """What is measured, in words."""
    return f"{MADE[measure.aggregate].format(of=measure.of)} {_matched(measure)}{_window(measure)}"


def _sequence(rule: shapes.SequenceRule) -> str:
    steps = [_matched(step) + (f" within {spoken(step.within)}" if step.within else "") for step in rule.sequence]
    parts = [", then ".join(steps)]
    parts += [f"all within {spoken(rule.within)}"] if rule.within else []
    parts += [f"ended in the last {spoken(rule.last)}"] if rule.last else []
    parts += [f"without {_matched(rule.without)} between"] if rule.without else []
    return "; ".join([*parts, *([f"with the same {rule.same}"] if rule.same else [])])


def _matched(matched: Matched) -> str:
    names = " or ".join(matched.names)
    tests = " and ".join(_test(test) for test in matched.where)
    return f"{names} where {tests}" if tests else names


def _test(test: PropertyTest) -> str:
    return f"{test.property_} {_comparison(test)}"


def _comparison(compared: Compared) -> str:
    operator, operand = compared.operator, compared.operand
    if operator is Operator.IS_NULL:
        return "is not known" if operand else "is known"
    if operator is Operator.IS_TRUE:
        return "is true" if operand else "is not true"
    if operator in PERCENT:
        return f"in the {'top' if operator is Operator.TOP_PERCENT else 'bottom'} {operand:g} % of the day"
    assert operator is not None
    shown = f"{spoken(operand)} ago" if isinstance(operand, timedelta) else _values(compared.values)
    return f"{SIGNS[operator]} {shown}"


def _values(values: Sequence[Value]) -> str:
    return ", ".join(
        value.isoformat()
        if isinstance(value, datetime | date)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
        for value in values
    )


def _window(window: Windowed) -> str:
    if window.last is not None:
        return f" in the last {spoken(window.last)}"
    if window.this is not None:
        return f" this {window.this}"
    if window.previous is not None:
        count = window.previous.count
        return f" in the {count} {window.previous.unit}{'s' if count > 1 else ''} before this one"
    since = f" since {window.since.isoformat()}" if window.since else ""
    return since + (f" until {window.until.isoformat()}" if window.until else "")
