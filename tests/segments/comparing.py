"""Comparisons and windows of the oracle: whether a value fulfils an operator, and whether a moment lies in a window."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from jobs.segments.language.events import Compared, Operator
from jobs.segments.language.units import Windowed, instant
from segments import values
from segments.calendars import start


@dataclass(frozen=True)
class Clock:
    """An instant (UTC, without a zone), and the time zone of the definition that reads it."""

    now: datetime
    zone: str


def kind_of(value: Any) -> str:
    """How a written value is compared: as bool, number, text or time."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "time"


def operand(value: Any, zone: str) -> Any:
    """What a written value is compared as."""
    kind = kind_of(value)
    if kind == "bool":
        return "true" if value else "false"
    if kind == "number":
        return values.rounded(float(value)) if abs(value) < values.LARGEST else Decimal(value)
    return instant(value, zone) if kind == "time" else value


ORDERED: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: lambda value, wanted: bool(value == wanted),
    Operator.GT: lambda value, wanted: bool(value > wanted),
    Operator.GTE: lambda value, wanted: bool(value >= wanted),
    Operator.LT: lambda value, wanted: bool(value < wanted),
    Operator.LTE: lambda value, wanted: bool(value <= wanted),
    Operator.CONTAINS: lambda value, wanted: wanted in value,
    Operator.STARTS_WITH: lambda value, wanted: bool(value.startswith(wanted)),
}


def compare(value: Any, rule: Compared, clock: Clock) -> bool:
    """Whether a value, None when unknown, fulfils the comparison of a rule."""
    operator = rule.operator
    assert operator is not None
    if operator is Operator.IS_NULL:
        return (value is None) == rule.operand
    if operator is Operator.IS_TRUE:
        return (value is True) == rule.operand
    if value is None:
        return operator is Operator.NE
    if operator is Operator.OLDER_THAN:
        return bool(value <= clock.now - rule.operand)
    if operator is Operator.NEWER_THAN:
        return bool(value > clock.now - rule.operand)
    wanted = [operand(item, clock.zone) for item in rule.values]
    if operator in (Operator.IN, Operator.NE):
        return (value in wanted) == (operator is Operator.IN)
    return ORDERED[operator](value, wanted[0])


def in_window(when: datetime, window: Windowed, clock: Clock) -> bool:
    """Whether a moment lies in the stretch of time of a measure."""
    if window.last is not None:
        return when > clock.now - window.last
    if window.this is not None:
        return when >= start(clock.now, window.this, clock.zone)
    if window.previous is not None:
        unit = window.previous.unit
        begin = start(clock.now, unit, clock.zone, ago=window.previous.count)
        return begin <= when < start(clock.now, unit, clock.zone)
    after = window.since is None or when >= instant(window.since, clock.zone)
    return after and (window.until is None or when < instant(window.until, clock.zone))


def window_name(window: Windowed) -> str:
    """Which window a measure has."""
    given = [name for name in ("last", "this", "previous", "since", "until") if getattr(window, name) is not None]
    return " and ".join(given) or "none"
