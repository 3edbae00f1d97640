"""What a trait is made of: a measure of events, points, a choice, the winner of a priority list, or a ratio of two traits."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Discriminator, Field, StrictInt, StrictStr, Tag, TypeAdapter, model_validator

from jobs.segments.language.events import Aggregate, Measure, Part
from jobs.segments.language.rules import Rule
from jobs.segments.language.units import Shape, kind_among

Points = Annotated[StrictInt, Field(ge=-1000, le=1000)]


class Kind(StrEnum):
    """What a trait's value is: whole number, number with six decimals, text, moment (UTC), or yes and no."""

    WHOLE = "long"
    NUMBER = "decimal"
    TEXT = "string"
    TIME = "timestamp"
    FLAG = "boolean"


MADE = {
    Aggregate.COUNT: Kind.WHOLE,
    Aggregate.DISTINCT: Kind.WHOLE,
    Aggregate.SUM: Kind.NUMBER,
    Aggregate.MIN: Kind.NUMBER,
    Aggregate.MAX: Kind.NUMBER,
    Aggregate.FIRST_VALUE: Kind.TEXT,
    Aggregate.LAST_VALUE: Kind.TEXT,
    Aggregate.TIME: Kind.TIME,
}


class PointsWhen(Shape):
    """Points for whom a rule holds."""

    when: Rule
    points: Points


class PointsEach(Shape):
    """Points for each event counted (or each different value), up to `at_most` points together."""

    each: Measure
    points: Points
    at_most: Annotated[StrictInt, Field(ge=1, le=100_000)]

    @model_validator(mode="after")
    def _counts(self) -> "PointsEach":
        if MADE[self.each.aggregate] is not Kind.WHOLE:
            raise ValueError("each counts events, or different values of a property (distinct)")
        if self.points <= 0:
            raise ValueError("points for each are above 0")
        return self


class Score(Shape):
    """A sum of points, whole and never unknown."""

    score: list[PointsWhen | PointsEach] = Field(min_length=1, max_length=50)


class Choice(Shape):
    """One text of a choice, for whom a rule holds."""

    when: Rule
    then: Part


class Choose(Shape):
    """The text of the first choice whose rule holds; else `otherwise`, or unknown."""

    choose: list[Choice] = Field(min_length=1, max_length=100)
    otherwise: Part | None = None


class Ranked(Shape):
    """A segment of a priority list; 1 is the first rank."""

    segment: StrictStr
    rank: Annotated[StrictInt, Field(ge=1, le=1000)]


class Priority(Shape):
    """The name of one segment: of those that a profile is a member of, the one of the lowest rank; else `otherwise`, or unknown.

    Of several with one rank, `ties: listed` takes the first written here; `ties: even` the one that a hash of list, segment and
    profile puts first, so that each gets its share and a profile keeps to its own.
    """

    priority: list[Ranked] = Field(min_length=2, max_length=100)
    ties: Literal["listed", "even"]
    otherwise: Part | None = None

    @model_validator(mode="after")
    def _each_once(self) -> "Priority":
        names = [choice.segment for choice in self.priority]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands twice in the list")
        return self


class Quotient(Shape):
    """Two number traits."""

    of: StrictStr
    to: StrictStr


class Ratio(Shape):
    """One number trait divided by another, cut off after six decimals.

    Unknown when either is, when the second is 0, and from 10^12 on, for which there is no room.
    """

    ratio: Quotient


VALUES: dict[str, type[Shape]] = {
    "score": Score,
    "choose": Choose,
    "priority": Priority,
    "ratio": Ratio,
    "event": Measure,
}
TraitValue = Annotated[
    Annotated[Score, Tag("score")]
    | Annotated[Choose, Tag("choose")]
    | Annotated[Priority, Tag("priority")]
    | Annotated[Ratio, Tag("ratio")]
    | Annotated[Measure, Tag("event")],
    Discriminator(
        kind_among(VALUES),
        custom_error_type="trait_kind",
        custom_error_message="a trait's value is a mapping with one of: event, score, choose, priority, ratio",
    ),
]
AnyValue = Score | Choose | Priority | Ratio | Measure
VALUE: TypeAdapter[AnyValue] = TypeAdapter(TraitValue)


def kind_of_value(value: AnyValue) -> Kind:
    """What the trait's value is."""
    if isinstance(value, Measure):
        return MADE[value.aggregate]
    if isinstance(value, Score):
        return Kind.WHOLE
    return Kind.NUMBER if isinstance(value, Ratio) else Kind.TEXT
