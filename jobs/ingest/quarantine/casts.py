"""Casts of one JSON value, text to text. None where the value cannot be read so: it stays, and the judge says why."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

NUMBER = re.compile(r"([+-]?)0*(\d+)(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_UNITS = {"epoch_seconds": 1_000_000, "epoch_milliseconds": 1_000}
# Parts of a date format, longest first, and what they are to strptime.
PARTS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "SSS": "%f", "XXX": "%z"}
_PART = re.compile("|".join(sorted(PARTS, key=len, reverse=True)))


class How(NamedTuple):
    """What a cast has to know: the decimal mark of numbers as sent, the format of times as sent."""

    decimal: str = "."
    format: str = ""


def known_format(text: str) -> str:
    """A date format as given; raises ValueError when a letter of it means nothing here."""
    unknown = re.sub(r"[^A-Za-z]|[TZ]", "", _PART.sub("", text))
    if text not in EPOCH_UNITS and (unknown or "yyyy" not in text):
        raise ValueError(f"format {text!r} is not known; use {', '.join(PARTS)} or {', '.join(EPOCH_UNITS)}")
    return text


def _content(fragment: str) -> str:
    """The text of a string; other values are their own text."""
    return str(json.loads(fragment)) if fragment.startswith('"') else fragment


def to_string(fragment: str, how: How) -> str | None:
    """A number or boolean between quotes, digit by digit as it came."""
    return None if fragment[0] in '{["n' else f'"{fragment}"'


def to_number(fragment: str, how: How) -> str | None:
    """A number as JSON writes it, without changing its digits; blanks around it and a decimal comma may go."""
    if fragment[0] in "{[tfn":
        return None
    text = _content(fragment).strip()
    if how.decimal != ".":
        text = text.replace(".", "\0").replace(how.decimal, ".")
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, *digits = found.groups(default="")
    return sign.replace("+", "") + "".join(digits)


def to_integer(fragment: str, how: How) -> str | None:
    """A whole number without fraction and exponent; None for one that is not whole."""
    number = to_number(fragment, how)
    if number is None or "e" in number.lower():
        return None
    whole, _, fraction = number.partition(".")
    return whole if not fraction.strip("0") else None


def to_boolean(fragment: str, how: How) -> str | None:
    """The words true and false, upper or lower case, without quotes. Other words are for map_value."""
    text = _content(fragment).strip().lower()
    return text if text in ("true", "false") else None


def to_timestamp(fragment: str, how: How) -> str | None:
    """ISO 8601 in UTC; a time without zone is read as UTC, as the judge does."""
    found = _instant(fragment, how.format)
    if found is None:
        return None
    return '"' + found.astimezone(UTC).replace(tzinfo=None).isoformat() + 'Z"'


def to_date(fragment: str, how: How) -> str | None:
    """yyyy-MM-dd."""
    found = _instant(fragment, how.format)
    return None if found is None else f'"{found.date().isoformat()}"'


def _instant(fragment: str, format: str) -> datetime | None:
    if fragment[0] in "{[tfn":
        return None
    text = _content(fragment).strip()
    try:
        if format in EPOCH_UNITS and NUMBER.fullmatch(text):
            return EPOCH + timedelta(microseconds=int(Decimal(text) * EPOCH_UNITS[format]))
        found = datetime.strptime(text, _PART.sub(lambda part: PARTS[part[0]], format))
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


CASTS: dict[str, Callable[[str, How], str | None]] = {
    "string": to_string,
    "number": to_number,
    "integer": to_integer,
    "boolean": to_boolean,
    "timestamp": to_timestamp,
    "date": to_date,
}
