"""Scenarios: what people do on a simulated clock, and who is a member, who enters and leaves, and what is decided then."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictStr, Tag, model_validator

from jobs.core.definitions import Definition, Name, TimeZone
from jobs.segments.language.events import EventName
from jobs.segments.language.units import Duration, Moment, Shape, kind_among

Who = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$")]
People = list[Who]
BEGINNING = datetime(2018, 1, 2, 12)


class Happens(Shape):
    """An event of a person, now; with `late` it happened that long ago and is received now."""

    event: EventName
    who: Who
    properties: dict[str, Any] = Field(default_factory=dict, alias="with")
    late: Duration | None = None


class Wait(Shape):
    """Time passes."""

    wait: Duration


class Until(Shape):
    """Time passes up to a moment; without an offset it is one of the scenario's time zone."""

    until: Moment


class Change(Shape):
    """A build of the warehouse has found other attributes of a person."""

    change: Who
    to: dict[Name, Any] = Field(min_length=1)


class Deliver(Shape):
    """All messages that may be sent now are delivered."""

    deliver: Literal["due"]


class Told(Shape):
    """A decision on a trigger's message, or on that of a journey's step, with its reasons in any order."""

    fire: Name | None = None
    hold: Name | None = None
    cancel: Name | None = None
    regret: Name | None = None
    who: Who
    because: list[StrictStr] = Field(default_factory=list)
    not_before: Moment | None = None

    @model_validator(mode="after")
    def _one_decision(self) -> "Told":
        if len(self._given()) != 1:
            raise ValueError("exactly one of fire, hold, cancel, regret is wanted")
        return self

    def _given(self) -> list[tuple[str, str]]:
        pairs = (("fire", self.fire), ("hold", self.hold), ("cancel", self.cancel), ("regret", self.regret))
        return [(kind, name) for kind, name in pairs if name is not None]

    @property
    def decision(self) -> str:
        """What was decided."""
        return self._given()[0][0]

    @property
    def message(self) -> str:
        """About which message."""
        return self._given()[0][1]


class Expected(Shape):
    """What is so now, or has come about since the expectation before this one.

    `members`: segment → all its members; `traits`: trait → person → value; `entries`, `exits`: segment → who;
    `decisions`: all of the triggers and journeys that the scenario is about; `journeys`: journey → person → the step at which
    it waits, or the reason of its end.
    """

    members: dict[Name, People] = Field(default_factory=dict)
    traits: dict[Name, dict[Who, Any]] = Field(default_factory=dict)
    entries: dict[Name, People] = Field(default_factory=dict)
    exits: dict[Name, People] = Field(default_factory=dict)
    decisions: list[Told] | None = None
    journeys: dict[Name, dict[Who, StrictStr]] = Field(default_factory=dict)


class Expect(Shape):
    """An expectation."""

    expect: Expected


STEPS: dict[str, type[Shape]] = {
    "event": Happens,
    "wait": Wait,
    "until": Until,
    "change": Change,
    "deliver": Deliver,
    "expect": Expect,
}
AnyScene = Annotated[
    Annotated[Happens, Tag("event")]
    | Annotated[Wait, Tag("wait")]
    | Annotated[Until, Tag("until")]
    | Annotated[Change, Tag("change")]
    | Annotated[Deliver, Tag("deliver")]
    | Annotated[Expect, Tag("expect")],
    Discriminator(
        kind_among(STEPS),
        custom_error_type="scene_kind",
        custom_error_message="a step of a story is a mapping with one of: event, wait, until, change, deliver, expect",
    ),
]


class Scenario(Definition):
    """One story. `about`: the segments, traits, triggers and journeys that it tests; no others exist in it, but for what these
    read. `people`: their attributes at the beginning; those left out are unknown."""

    about: list[Name] = Field(min_length=1)
    start: Moment = BEGINNING
    time_zone: TimeZone = "UTC"
    people: dict[Who, dict[Name, Any]] = Field(min_length=1)
    story: list[AnyScene] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _expects_something(self) -> "Scenario":
        if not isinstance(self.story[-1], Expect):
            raise ValueError("the story ends with an expectation, or its last steps test nothing")
        return self
