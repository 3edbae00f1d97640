"""The rule language: conditions over a profile's events and traits, joined by all, any, none and not.

Rules know two answers only: a comparison with what is not known is no. So `not` of it is yes, and `ne` holds for profiles
without the trait; SQL's third answer never decides who is contacted.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, StrictBool, StrictStr, Tag, TypeAdapter, model_validator

from jobs.segments.language.events import Aggregate, Compared, Matched, Measure, Part, PropertyPath
from jobs.segments.language.units import Duration, Shape, kind_among

Percent = Annotated[float, Field(strict=True, gt=0, lt=100)]
Many = Annotated[list["Rule"], Field(min_length=1, max_length=50)]


class EventRule(Measure, Compared):
    """A measure compared: `{event: Order Completed, last: 30 days, gte: 3}`. Without an operator: at least one event."""

    needs_operator: ClassVar[bool] = False

    older_than: Duration | None = None
    newer_than: Duration | None = None
    contains: Part | None = None
    starts_with: Part | None = None

    @model_validator(mode="after")
    def _value_needs_an_operator(self) -> "EventRule":
        if self.operator is None and self.aggregate is not Aggregate.COUNT:
            raise ValueError(f"{self.aggregate} is compared with nothing: add eq, gte, …")
        return self


class TraitRule(Compared):
    """One trait, one operator, its value: `{trait: order_count, gte: 5}`.

    `top_percent: 10` holds for the highest tenth of the profiles whose value is known and not 0, all of equal value in or out
    together; it is taken once a day, at midnight in the definition's time zone, from what was known then.
    """

    trait: StrictStr
    contains: Part | None = None
    starts_with: Part | None = None
    is_true: StrictBool | None = None
    older_than: Duration | None = None
    newer_than: Duration | None = None
    top_percent: Percent | None = None
    bottom_percent: Percent | None = None


class Step(Matched):
    """One step of a sequence; `within`: at most that long after the step before it, exactly that long included."""

    within: Duration | None = None


class Unwanted(Matched):
    """Events that must not be there."""


class SequenceRule(Shape):
    """Steps one after the other, each strictly later than the one before; other events may lie between them.

    `within`: from the first step to the last at most that long, exactly that long included. `last`: the last step happened
    less than that long ago. `without`: no such event after a step, up to and with the moment of the next. `same`: all steps
    have the same text of that property, and `without` looks only at events that have it too.
    """

    sequence: list[Step] = Field(min_length=2, max_length=8)
    within: Duration | None = None
    last: Duration | None = None
    without: Unwanted | None = None
    same: PropertyPath | None = None

    @model_validator(mode="after")
    def _first_step_follows_nothing(self) -> "SequenceRule":
        if self.sequence[0].within is not None:
            raise ValueError("the first step follows nothing: it takes no within")
        return self


class FollowRule(Matched):
    """An event that was not followed: `{event: Product Added, not_followed_by: {event: Order Completed}, within: 1 hour}`.

    Holds once `within` has passed since such an event with none of the others strictly after it and up to then, the last
    moment included; `last`: the event itself happened less than that long ago. `same`: the others count when they have the
    same text of that property.
    """

    not_followed_by: Unwanted
    within: Duration
    last: Duration | None = None
    same: PropertyPath | None = None

    @model_validator(mode="after")
    def _can_be_seen(self) -> "FollowRule":
        if self.last is not None and self.last <= self.within:
            raise ValueError("last must be longer than within: before that the answer is not known yet")
        return self


class SegmentRule(Shape):
    """Member of another segment, at the same moment."""

    segment: StrictStr


class Everyone(Shape):
    """Every profile; a segment that may hold everybody says so (`allow_all: true`)."""

    everyone: Literal[True]


class AllOf(Shape):
    """Every rule of the list holds."""

    all_of: Many = Field(alias="all")


class AnyOf(Shape):
    """At least one rule of the list holds."""

    any_of: Many = Field(alias="any")


class NoneOf(Shape):
    """No rule of the list holds."""

    none_of: Many = Field(alias="none")


class Not(Shape):
    """The rule does not hold."""

    negated: "Rule" = Field(alias="not")


KINDS: dict[str, type[Shape]] = {
    "all": AllOf,
    "any": AnyOf,
    "none": NoneOf,
    "not": Not,
    "trait": TraitRule,
    "sequence": SequenceRule,
    "not_followed_by": FollowRule,
    "segment": SegmentRule,
    "everyone": Everyone,
    "event": EventRule,
}
kind_of = kind_among(KINDS)
Rule = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[NoneOf, Tag("none")]
    | Annotated[Not, Tag("not")]
    | Annotated[TraitRule, Tag("trait")]
    | Annotated[SequenceRule, Tag("sequence")]
    | Annotated[FollowRule, Tag("not_followed_by")]
    | Annotated[SegmentRule, Tag("segment")]
    | Annotated[Everyone, Tag("everyone")]
    | Annotated[EventRule, Tag("event")],
    Discriminator(
        kind_of,
        custom_error_type="rule_kind",
        custom_error_message="a rule is a mapping with one of: all, any, none, not, trait, event, sequence, segment, everyone",
    ),
]
for _shape in (AllOf, AnyOf, NoneOf, Not):
    _shape.model_rebuild()
AnyRule = AllOf | AnyOf | NoneOf | Not | TraitRule | SequenceRule | FollowRule | SegmentRule | Everyone | EventRule


def parts_of(rule: AnyRule) -> list[AnyRule]:
    """The rules right inside a rule, in the order written."""
    if isinstance(rule, AllOf):
        return rule.all_of
    if isinstance(rule, AnyOf):
        return rule.any_of
    if isinstance(rule, NoneOf):
        return rule.none_of
    return [rule.negated] if isinstance(rule, Not) else []


RULE: TypeAdapter[AnyRule] = TypeAdapter(Rule)
