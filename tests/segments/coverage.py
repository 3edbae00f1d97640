"""What a run of the property tests must have seen both ways, taken from the language itself, so that a new word is wanted too."""

from dataclasses import dataclass

from jobs.segments.language import compared
from jobs.segments.language.compared import EQUAL, ORDER, SPELLED
from jobs.segments.language.events import PERCENT, Aggregate, Operator
from jobs.segments.language.rules import KINDS, FollowRule, SequenceRule
from jobs.segments.language.traits import MADE

WINDOWS = ("none", "last", "this", "previous", "since", "until", "since and until")
VALUES = ("choose", "points when", "points each", "priority listed", "priority even", "ratio")


def _in_order(operators: set[Operator]) -> tuple[Operator, ...]:
    return tuple(operator for operator in Operator if operator in operators)


# The operators of each kind of value, of an event rule whatever it makes of its events, and of each reading of a property.
FITTING = {kind: _in_order({*found, Operator.IS_NULL} - PERCENT) for kind, found in compared.FITTING.items()}
MEASURED = {kind: FITTING[kind] for kind in dict.fromkeys(MADE.values())}
EVENT = _in_order({operator for operators in MEASURED.values() for operator in operators})
PROPERTY = {"number": _in_order(EQUAL | ORDER), "text": _in_order(EQUAL | SPELLED), "bool": _in_order(EQUAL)}
OPTIONS = {"sequence": SequenceRule, "not_followed_by": FollowRule}


def options(kind: str) -> tuple[str, ...]:
    """What a rule over several events may say besides what it cannot do without."""
    fields = OPTIONS[kind].model_fields
    return tuple(name for name, info in fields.items() if not info.is_required() and name != "where")


@dataclass(frozen=True)
class Wish:
    """A rule that has not been seen to hold and not to; None is anything. `operator` "any": the rule that compares nothing."""

    about: str
    kind: str | None = None
    aggregate: Aggregate | None = None
    operator: str | None = None
    window: str | None = None


def wishes(seen: set[tuple[str, bool]]) -> tuple[Wish, ...]:
    """What to draw more often for now."""
    missing = {label.rpartition(": ")[0] for label in uncovered(seen)}
    found = {f"aggregate {a} in {w}": Wish("event", aggregate=a, window=w) for a in Aggregate for w in WINDOWS}
    found |= {f"event {o} in {w}": Wish("event", operator=o, window=w) for o in ("any", *EVENT) for w in WINDOWS}
    found |= {f"event {k} {o}": Wish("event", kind=k, operator=o) for k, every in MEASURED.items() for o in every}
    found |= {f"trait {k} {o}": Wish("trait", kind=k, operator=o) for k, every in FITTING.items() for o in every}
    found |= {f"property {k} {o}": Wish("property", kind=k, operator=o) for k, every in PROPERTY.items() for o in every}
    return tuple(wish for label, wish in found.items() if label in missing)


def uncovered(seen: set[tuple[str, bool]]) -> list[str]:
    """What was never true, or never false, in a run; sorted."""
    wanted = [f"rule {kind}" for kind in KINDS if kind != "everyone"]
    wanted += [f"value {name}" for name in VALUES] + ["parent", "holdout", "ties listed", "ties even"]
    wanted += [f"aggregate {kind} in {window}" for kind in Aggregate for window in WINDOWS]
    wanted += [f"event {operator} in {window}" for operator in ("any", *EVENT) for window in WINDOWS]
    wanted += [f"event {kind} {operator}" for kind, operators in MEASURED.items() for operator in operators]
    wanted += [f"trait {kind} {operator}" for kind, operators in FITTING.items() for operator in operators]
    wanted += [f"trait {operator}" for operator in PERCENT]
    wanted += [f"property {kind} {operator}" for kind, operators in PROPERTY.items() for operator in operators]
    wanted += [f"{kind} with {name}" for kind in OPTIONS for name in options(kind)]
    wanted += ["property is_null", *(f"window {window}" for window in WINDOWS if window != "none")]
    both = {f"{name}: {answer}" for name in wanted for answer in (True, False)}
    told = {f"{name}: {answer}" for name, answer in seen}
    return sorted((both | {"rule everyone: True", "window none: True"}) - told)
