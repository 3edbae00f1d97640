"""Positions of a cursor: how far a REST source has been read. Pure.

A position is a whole number: microseconds since 1970 of a time, the integer itself otherwise. Times are compared as
times ("…:00Z" comes before "…:00.5Z", which as text it does not), and cut to what can be asked for, downwards: rows are
then read twice rather than missed.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

Format = Literal["iso8601", "epoch_ms", "epoch_seconds", "integer"]
Position = int
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNIT = {"iso8601": 1_000, "epoch_ms": 1_000, "epoch_seconds": 1_000_000, "integer": 1}  # what can be asked for
SECOND = 1_000_000
MOST_DIGITS = 30


def read_position(value: Any, kind: Format, asked_as: Format) -> Position | None:
    """The position of a value as it stands in a row; None when there is none or it is unreadable."""
    if value is None or isinstance(value, bool):
        return None
    try:
        found = micros(datetime.fromisoformat(str(value).strip())) if kind == "iso8601" else _number(value, kind)
    except (ValueError, ArithmeticError):  # ArithmeticError: numbers beyond what a calendar or Decimal holds
        return None
    return found // UNIT[asked_as] * UNIT[asked_as]


def micros(instant: datetime) -> int:
    """Microseconds since 1970; a time without zone is UTC."""
    return ((instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant) - EPOCH) // MICROSECOND


def _number(value: Any, kind: Format) -> int:
    number = Decimal(str(value)) * UNIT[kind]
    if not number.is_finite() or number.adjusted() > MOST_DIGITS:
        raise ValueError("no number that can be a position")
    found = int(number)
    if kind == "integer" and found != number:
        raise ValueError("no whole number")
    if kind != "integer":
        _ = EPOCH + found * MICROSECOND  # raises OverflowError when no calendar has it
    return found


def after(position: Position, asked_as: Format) -> Position:
    """The least position that is greater."""
    return position + UNIT[asked_as]


def before(position: Position, overlap: int, asked_as: Format) -> Position:
    """`overlap` seconds (of an integer: units) earlier."""
    return position - overlap * (1 if asked_as == "integer" else SECOND)


def not_later(position: Position, now: datetime, asked_as: Format) -> Position:
    """The position, but not one after `now`, the beginning of the run.

    One row dated 2099 would hide all rows until then; and a row that changes while a source is read in no order is behind
    us already, while a later change of another row is still ahead.
    """
    return position if asked_as == "integer" else min(position, micros(now) // UNIT[asked_as] * UNIT[asked_as])


def as_text(position: Position, asked_as: Format) -> str:
    """As the source wants to be asked."""
    if asked_as == "iso8601":
        return (EPOCH + position * MICROSECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(position // UNIT[asked_as])
