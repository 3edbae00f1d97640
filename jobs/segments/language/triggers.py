"""What sets a message off: an event, a change of membership, or something that did not happen; once per occasion.

`occasion:` and not `on:`, which YAML 1.1 takes for "true".
"""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Field, StrictBool, StrictInt, StrictStr, Tag

from jobs.core.definitions import Definition, TimeZone
from jobs.segments.language.events import Matched, PropertyPath
from jobs.segments.language.policy import Purpose
from jobs.segments.language.rules import Rule, Unwanted
from jobs.segments.language.units import Duration, Shape, kind_among

PERSON = "person"
ReEntry = Literal["always", "once"] | Duration


class Presence(Matched):
    """Each such event is an occasion, decided when it is received.

    `unless`: a later event of these, known before the message is sent, takes it back.
    """

    unless: Unwanted | None = None


class Absence(Matched):
    """An event that none of `not_followed_by` follows: strictly after it, up to `within` later, that moment included.

    The occasion is the moment at which `within` is over; it is decided after the trigger's `lateness`, by what is known then.
    A follower later than that, known before the message is sent, takes it back. `same`: both have the same text of that
    property. To wait for the last event of a row, name the event among its own followers.
    """

    not_followed_by: Unwanted
    within: Duration
    same: PropertyPath | None = None


class Enters(Shape):
    """A profile becomes a member of the segment; by time alone too, decided after the trigger's `lateness` then."""

    enters: StrictStr


class Leaves(Shape):
    """A profile is no longer a member of the segment."""

    leaves: StrictStr


class Crosses(Shape):
    """The rule begins to hold for a profile."""

    crosses: Rule


OCCASIONS: dict[str, type[Shape]] = {
    "not_followed_by": Absence,
    "enters": Enters,
    "leaves": Leaves,
    "crosses": Crosses,
    "event": Presence,
}
OnOccasion = Annotated[
    Annotated[Absence, Tag("not_followed_by")]
    | Annotated[Enters, Tag("enters")]
    | Annotated[Leaves, Tag("leaves")]
    | Annotated[Crosses, Tag("crosses")]
    | Annotated[Presence, Tag("event")],
    Discriminator(
        kind_among(OCCASIONS),
        custom_error_type="occasion_kind",
        custom_error_message="an occasion is a mapping with one of: event, not_followed_by, enters, leaves, crosses",
    ),
]


class Trigger(Definition):
    """One trigger.

    `if`: a rule that must hold at the moment of decision. `lateness`: how long an absence waits for events that are late.
    `re_entry`: whether a person may have it again: `always`, `once`, or after so long. `expires`: how long after its decision
    the message may still be sent. `time_zone`: whose clock quiet hours go by; days in `if` and `crosses` are those of the
    policy's default zone when it is the person's. `rank`: of several decided for a person at one moment, the lowest goes
    first. `sends: false`: no message of its own, it only starts journeys.
    """

    occasion: OnOccasion
    if_: Rule | None = Field(default=None, alias="if")
    purpose: Purpose = "marketing"
    lateness: Duration = timedelta(minutes=2)
    re_entry: ReEntry = "always"
    expires: Duration = timedelta(hours=24)
    time_zone: Literal["person"] | TimeZone = PERSON
    rank: Annotated[StrictInt, Field(ge=1, le=1000)] = 100
    sends: StrictBool = True

    @property
    def waits_for(self) -> str | None:
        """The segment that it is about, when a change of membership sets it off; of `crosses` the unnamed one."""
        if isinstance(self.occasion, Enters):
            return self.occasion.enters
        if isinstance(self.occasion, Leaves):
            return self.occasion.leaves
        return f"trigger__{self.name}__crosses" if isinstance(self.occasion, Crosses) else None
