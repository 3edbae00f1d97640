"""Rules that hold for every profile, or for none, whatever the profiles have done.

Recognised: `everyone` and what all, any, none and not make of it; a rule beside its own opposite (`any` of a rule and `not` of
it, `all` of both); counts compared with what they never are below (`gte: 0`), of events, of traits that count, and of
attributes whose contract has a minimum; `is_null` of what is always known; membership of a segment of which this is known.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from jobs.segments.language.events import Aggregate, Compared, Measure, Operator
from jobs.segments.language.rules import AllOf, AnyOf, AnyRule, EventRule, Everyone, NoneOf, Not, SegmentRule, TraitRule


class Verdict(StrEnum):
    """Whom a rule holds for, as far as the rule alone says."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


OPPOSITE = {Verdict.ALL: Verdict.NONE, Verdict.NONE: Verdict.ALL, Verdict.SOME: Verdict.SOME}
COUNTS = (Aggregate.COUNT, Aggregate.DISTINCT)


def verdict(rule: AnyRule, segments: Mapping[str, Verdict], floors: Mapping[str, float]) -> Verdict:
    """Whom the rule holds for. `segments`: of those it reads; `floors`: traits that are always known and never below that."""
    if isinstance(rule, Not):
        return OPPOSITE[verdict(rule.negated, segments, floors)]
    if isinstance(rule, AllOf):
        return _all(
            [verdict(part, segments, floors) for part in rule.all_of], has_opposites=_has_opposites(rule.all_of)
        )
    if isinstance(rule, AnyOf | NoneOf):
        parts = rule.any_of if isinstance(rule, AnyOf) else rule.none_of
        opposite = [OPPOSITE[verdict(part, segments, floors)] for part in parts]
        none = _all(opposite, has_opposites=_has_opposites(parts))
        return none if isinstance(rule, NoneOf) else OPPOSITE[none]
    return _single(rule, segments, floors)


def _single(rule: AnyRule, segments: Mapping[str, Verdict], floors: Mapping[str, float]) -> Verdict:
    if isinstance(rule, SegmentRule):
        return segments.get(rule.segment, Verdict.SOME)
    if isinstance(rule, EventRule) and rule.operator and rule.aggregate in COUNTS:
        return _compared(rule, 0)
    if isinstance(rule, TraitRule) and rule.trait in floors:
        return _compared(rule, floors[rule.trait])
    return Verdict.ALL if isinstance(rule, Everyone) else Verdict.SOME


def floor_of(value: object) -> float | None:
    """What a defined trait is never below, when it is always known."""
    return 0 if isinstance(value, Measure) and value.aggregate in COUNTS else None


def both(first: Verdict, second: Verdict) -> Verdict:
    """Whom two rules hold for together."""
    return _all([first, second], has_opposites=False)


def _all(parts: list[Verdict], *, has_opposites: bool) -> Verdict:
    if Verdict.NONE in parts or has_opposites:
        return Verdict.NONE
    return Verdict.SOME if Verdict.SOME in parts else Verdict.ALL


def _has_opposites(rules: Sequence[AnyRule]) -> bool:
    """Whether a rule stands beside one that is its opposite."""
    denied = [rule.negated for rule in rules if isinstance(rule, Not)]
    denied += [rule.none_of[0] for rule in rules if isinstance(rule, NoneOf) and len(rule.none_of) == 1]
    return any(rule in denied for rule in rules)


def _compared(rule: Compared, floor: float) -> Verdict:
    """A value that is always known and at least `floor`, compared."""
    if rule.operator is Operator.IS_NULL:
        return Verdict.NONE if rule.is_null else Verdict.ALL
    numbers = [value for value in rule.values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(rule.values):
        return Verdict.SOME
    never_less = {Operator.GTE: max(numbers) <= floor, Operator.LT: max(numbers) <= floor}
    never_equal = {Operator.GT: max(numbers) < floor, Operator.LTE: max(numbers) < floor}
    beyond = dict.fromkeys((Operator.EQ, Operator.NE, Operator.IN), max(numbers) < floor)
    assert rule.operator is not None
    if not (never_less | never_equal | beyond).get(rule.operator, False):
        return Verdict.SOME
    return Verdict.ALL if rule.operator in (Operator.GTE, Operator.GT, Operator.NE) else Verdict.NONE
