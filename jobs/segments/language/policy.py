"""The policy that every message obeys: quiet hours, how often, with which consent. One file for all triggers and journeys."""

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictInt, WithJsonSchema, model_validator

from jobs.core.definitions import Definition, Name, TimeZone
from jobs.segments.language.units import Duration, Shape

# What a message is for; each has its own consent and caps.
Purpose = Literal["marketing", "service"]
TIME_OF_DAY = re.compile(r"^([01][0-9]|2[0-3]):([0-5][0-9])$")


def _parse_time(value: Any) -> Any:
    """`"21:00"` → 21:00; quoted, as YAML 1.1 reads it as a number otherwise."""
    if isinstance(value, time):
        return value
    found = TIME_OF_DAY.match(value) if isinstance(value, str) else None
    if not found:
        raise ValueError(f'expected a time of day such as "21:00", quoted; found {value!r}')
    return time(int(found[1]), int(found[2]))


WRITTEN = {"type": "string", "pattern": TIME_OF_DAY.pattern, "examples": ["21:00"]}
TimeOfDay = Annotated[time, BeforeValidator(_parse_time), WithJsonSchema(WRITTEN)]


class QuietHours(Shape):
    """Nothing is sent from `start` up to `end`, by the person's clock; over midnight when `start` is the later of the two."""

    start: TimeOfDay
    end: TimeOfDay

    @model_validator(mode="after")
    def _some_hours(self) -> "QuietHours":
        if self.start == self.end:
            raise ValueError("start and end are the same: leave quiet_hours out when there are none")
        return self


class Cap(Shape):
    """At most so many messages to a person within any stretch of that length."""

    at_most: Annotated[StrictInt, Field(ge=1, le=1000)]
    within: Duration


class PurposePolicy(Shape):
    """Rules of one purpose. `consent`: the yes-or-no attribute of a profile without which nothing is sent; None needs none."""

    consent: Name | None = None
    is_quiet: bool = Field(default=True, description="Whether quiet hours are kept")
    caps: list[Cap] = Field(default_factory=list, max_length=10)


class Policy(Definition):
    """What decides who may be written to, and when.

    `zone_trait`: the trait that holds a person's time zone; where it is unknown, or no time zone, the default counts.
    `suppressed`: the yes-or-no attribute of those who must not be contacted, whatever the purpose.
    """

    default_zone: TimeZone
    zone_trait: Name | None = None
    suppressed: Name = "is_suppressed"
    quiet_hours: QuietHours | None = None
    purposes: dict[Purpose, PurposePolicy] = Field(min_length=1)
