"""What a run of the property tests must have seen both ways, taken from the language itself, so that a new word is wanted too."""

from jobs.segments.language.events import Aggregate, Operator
from jobs.segments.language.rules import KINDS
from jobs.segments.language.traits import Kind

WINDOWS = ("last", "this", "previous", "since", "until", "since and until")
VALUES = ("choose", "points when", "points each", "priority listed", "priority even", "ratio")
COMPARED = ("property number", "property text", "property bool", "percentile", *Kind)


def uncovered(seen: set[tuple[str, bool]]) -> list[str]:
    """What was never true, or never false, in a run; sorted. Operators count wherever they stood, what is compared with any."""
    wanted = [f"rule {kind}" for kind in KINDS if kind != "everyone"]
    wanted += [f"aggregate {kind}" for kind in Aggregate]
    wanted += [f"window {name}" for name in WINDOWS] + [f"value {name}" for name in VALUES]
    wanted += ["property is_null", "parent", "holdout", "ties listed", "ties even"]
    wanted += [f"operator {operator}" for operator in Operator] + [f"compared {what}" for what in COMPARED]
    both = {f"{name}: {answer}" for name in wanted for answer in (True, False)}
    return sorted((both | {"rule everyone: True", "window none: True"}) - _told(seen))


def _told(seen: set[tuple[str, bool]]) -> set[str]:
    told = {f"{name}: {answer}" for name, answer in seen}
    for name, answer in seen:
        compared, _, operator = name.rpartition(" ")
        told |= {f"operator {operator}: {answer}", f"compared {compared}: {answer}"}
    return told
