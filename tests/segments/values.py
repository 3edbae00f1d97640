"""What the property of an event is, as text and as a number; read from its JSON text, one rule a line."""

import json
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

NUMBER_TEXT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?")
MILLION = 1e6
LARGEST = 10**11


@dataclass(frozen=True)
class Pointed:
    """A JSON number that is not written as a whole one: 1.5, 1.0, 1e3."""

    written: str


@cache
def parsed(properties: str) -> Any:
    """The JSON text as Python values; whole numbers as int, others as Pointed, so that it is known how they were written."""
    return json.loads(properties, parse_float=Pointed)


def at(properties: str, path: str) -> Any:
    """What stands at a dotted path, walking through objects only; None when there is nothing, as for null."""
    value = parsed(properties)
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def given(properties: str, path: str) -> bool:
    """Whether the property has a value: it is there, and neither null nor an object or a list."""
    return not isinstance(at(properties, path), dict | list | None)


@cache
def text(properties: str, path: str) -> str | None:
    """The text of a property: a text, a whole number of 64 bits, true or false; None when it is unknown."""
    value = at(properties, path)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if -(2**63) <= value < 2**63 else None
    return value if isinstance(value, str) else None


@cache
def number(properties: str, path: str) -> Decimal | None:
    """The number of a property, with six decimals; None when it is unknown."""
    value = at(properties, path)
    if isinstance(value, Pointed):
        return rounded(float(value.written))
    if isinstance(value, str):
        return rounded(float(value)) if NUMBER_TEXT.fullmatch(value) else None
    return rounded(float(value)) if isinstance(value, int) and not isinstance(value, bool) else None


def rounded(value: float) -> Decimal | None:
    """To six decimals, half away from zero, after a multiplication of doubles; None from 10^11 on."""
    if abs(value) >= LARGEST:
        return None
    millionths = Decimal(value * MILLION).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return millionths.scaleb(-6) + 0
