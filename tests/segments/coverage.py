"""What a run of the property tests must have seen both ways, taken from the language itself, so that a new word is wanted too."""

from jobs.segments.language.events import Aggregate, Operator
from jobs.segments.language.rules import KINDS
from jobs.segments.language.traits import Kind

ORDERED = (Operator.EQ, Operator.NE, Operator.GT, Operator.GTE, Operator.LT, Operator.LTE, Operator.IN)
PARTS = (Operator.EQ, Operator.NE, Operator.IN, Operator.CONTAINS, Operator.STARTS_WITH)
OPERATORS = {
    Kind.WHOLE: (*ORDERED, Operator.IS_NULL),
    Kind.NUMBER: (*ORDERED, Operator.IS_NULL),
    Kind.TEXT: (*PARTS, Operator.IS_NULL),
    Kind.TIME: (*ORDERED, Operator.IS_NULL, Operator.OLDER_THAN, Operator.NEWER_THAN),
    Kind.FLAG: (Operator.IS_TRUE, Operator.IS_NULL),
}
TESTS = {"number": ORDERED, "text": PARTS, "bool": (Operator.EQ, Operator.NE, Operator.IN)}
WINDOWS = ("last", "this", "previous", "since", "until", "since and until")
VALUES = ("choose", "points when", "points each", "priority listed", "priority even", "ratio")


def uncovered(seen: set[tuple[str, bool]]) -> list[str]:
    """What was never true, or never false, in a run; sorted."""
    wanted = [f"rule {kind}" for kind in KINDS if kind != "everyone"]
    wanted += [f"aggregate {kind}" for kind in Aggregate]
    wanted += [f"{kind} {operator}" for kind, operators in OPERATORS.items() for operator in operators]
    wanted += [f"property {kind} {operator}" for kind, operators in TESTS.items() for operator in operators]
    wanted += [f"percentile {operator}" for operator in (Operator.TOP_PERCENT, Operator.BOTTOM_PERCENT)]
    wanted += [f"window {name}" for name in WINDOWS] + [f"value {name}" for name in VALUES]
    wanted += ["property is_null", "parent", "holdout", "ties listed", "ties even"]
    wanted = [f"{name}: {answer}" for name in wanted for answer in (True, False)]
    wanted += ["rule everyone: True", "window none: True"]
    return sorted(set(wanted) - {f"{name}: {answer}" for name, answer in seen})
