"""Lengths of time and stretches of time, as a definition writes them.

A duration is a count and a unit (`30 days`, `2 hours`, `90 minutes`); a day is always 24 hours. Whole days of a calendar are what
`this` and `previous` are for: they follow the time zone of the definition, with its short and long days.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator

DURATION = re.compile(r"^([1-9][0-9]{0,5}) (second|minute|hour|day|week)s?$")
SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
LONGEST = timedelta(days=3_660)
PREVIOUS = re.compile(r"^([1-9][0-9]{0,2}) (day|week|month|quarter|year)s?$")


def parse_duration(value: Any) -> timedelta:
    """`30 days` → 30 x 24 hours. Raises ValueError with what was expected."""
    if isinstance(value, timedelta):
        return value
    found = DURATION.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"expected a duration such as '30 days', '2 hours' or '90 minutes'; found {value!r}")
    length = timedelta(seconds=int(found[1]) * SECONDS[found[2]])
    if length > LONGEST:
        raise ValueError(f"{value!r} is longer than {LONGEST.days} days")
    return length


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION.pattern, "examples": ["30 days", "2 hours", "90 minutes"]}),
]


def spoken(length: timedelta) -> str:
    """The duration as a definition would write it, in its largest whole unit."""
    seconds = int(length.total_seconds())
    unit = next(name for name in reversed(SECONDS) if seconds % SECONDS[name] == 0)
    count = seconds // SECONDS[unit]
    return f"{count} {unit}{'s' if count != 1 else ''}"


class Shape(BaseModel):
    """Base of all that a definition writes: immutable, and an unknown key is refused rather than a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def kind_among(kinds: Mapping[str, type[Shape]]) -> Callable[[Any], str | None]:
    """A function that says which of the kinds a mapping writes, or a shape is; None: none of them.

    A mapping is of the first kind whose telling key it has, in the order given.
    """

    def kind_of(value: Any) -> str | None:
        if isinstance(value, Shape):
            return next((kind for kind, shape in kinds.items() if type(value) is shape), None)
        return next((kind for kind in kinds if kind in value), None) if isinstance(value, dict) else None

    return kind_of


class Unit(StrEnum):
    """Units of a calendar. A week begins on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Previous(Shape):
    """The whole units before the current one: `previous: 2 months` in March is January and February."""

    count: int
    unit: Unit


def _parse_previous(value: Any) -> Any:
    if isinstance(value, Previous | dict):
        return value
    found = PREVIOUS.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f"expected whole units such as '1 month' or '7 days'; found {value!r}")
    return Previous(count=int(found[1]), unit=Unit(found[2]))


def _parse_moment(value: Any) -> Any:
    """A date or time as such or as text; a number is none."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value) if len(value) == len("2024-01-31") else datetime.fromisoformat(value)
        except ValueError:
            pass
    if not isinstance(value, date):
        raise ValueError(f"expected a date or time such as 2024-01-31 or 2024-01-31T18:00:00Z; found {value!r}")
    return value


Moment = Annotated[
    datetime | date,
    BeforeValidator(_parse_moment),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}", "examples": ["2024-01-31"]}),
]
Units = Annotated[
    Previous,
    BeforeValidator(_parse_previous),
    WithJsonSchema({"type": "string", "pattern": PREVIOUS.pattern, "examples": ["1 month", "7 days"]}),
]


class Windowed(Shape):
    """Which events count, by time: at most one of `last`, `this` and `previous`, or `since` and `until`; none is for ever.

    `last: 30 days` is the 30 x 24 hours before the moment asked for: an event of exactly that age has left. `this: month`
    begins with the month in the definition's time zone, `previous: 2 months` are the two that have ended. `since` is
    inclusive, `until` is not; a date without a time is midnight in the definition's time zone.
    """

    last: Duration | None = None
    this: Unit | None = None
    previous: Units | None = None
    since: Moment | None = None
    until: Moment | None = None

    @model_validator(mode="after")
    def _one_window(self) -> "Windowed":
        given = [name for name in ("last", "this", "previous") if getattr(self, name) is not None]
        given += ["since/until"] if self.since or self.until else []
        if len(given) > 1:
            raise ValueError(f"one window at a time; found {', '.join(given)}")
        return self


def instant(moment: Moment, zone: str) -> datetime:
    """The UTC instant, without its offset, that a written date or time means in `zone`; an offset that is written counts."""
    full = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day)
    aware = full if full.tzinfo else full.replace(tzinfo=ZoneInfo(zone))
    return aware.astimezone(UTC).replace(tzinfo=None)
