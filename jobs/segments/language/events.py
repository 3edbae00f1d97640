"""Events as a definition names them: by name, properties and time; and what is made of them per profile."""

from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, WithJsonSchema, model_validator

from jobs.segments.language.units import Shape, Windowed

# Beyond 10^11 a number with six decimals is more than a double tells apart, and the engines would differ.
LARGEST = 10**11
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Whole = Annotated[StrictInt, Field(ge=-LARGEST, le=LARGEST)]
# Strict, or a number beyond the bounds would be taken for a time of that many seconds.
Time = Annotated[datetime, Field(strict=True)] | Annotated[date, Field(strict=True)]
Value = Annotated[
    StrictBool | Whole | Finite | StrictStr | Time, WithJsonSchema({"type": ["boolean", "number", "string"]})
]
Part = Annotated[StrictStr, Field(min_length=1, max_length=500)]
EventName = Annotated[StrictStr, Field(min_length=1, max_length=200)]
PROPERTY = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,4}$"
PropertyPath = Annotated[StrictStr, Field(pattern=PROPERTY, max_length=120)]


class Operator(StrEnum):
    """How a value is compared. Which take part depends on what is compared: `Compared.allowed_operators`."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    IS_NULL = "is_null"
    IS_TRUE = "is_true"
    OLDER_THAN = "older_than"
    NEWER_THAN = "newer_than"
    TOP_PERCENT = "top_percent"
    BOTTOM_PERCENT = "bottom_percent"


PERCENT = frozenset({Operator.TOP_PERCENT, Operator.BOTTOM_PERCENT})
AGED = frozenset({Operator.OLDER_THAN, Operator.NEWER_THAN})


class Compared(Shape):
    """Base of what is compared: one operator with its value. `contains` and `starts_with` are literal, case counts.

    `older_than: 30 days` holds for a time more than that long ago, or exactly; `newer_than` for one that is less.
    """

    needs_operator: ClassVar[bool] = True

    eq: Value | None = None
    ne: Value | None = None
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None
    in_: list[Value] | None = Field(default=None, alias="in", min_length=1, max_length=1000)
    is_null: StrictBool | None = None

    @model_validator(mode="after")
    def _one_operator(self) -> "Compared":
        given = self._given()
        if len(given) > 1 or (not given and self.needs_operator):
            known = ", ".join(op for op in Operator if _field(op) in type(self).model_fields)
            raise ValueError(f"exactly one of {known} is wanted; found {', '.join(given) or 'none'}")
        return self

    def _given(self) -> dict[str, Any]:
        fields = type(self).model_fields
        values = {op.value: getattr(self, _field(op)) for op in Operator if _field(op) in fields}
        return {op: value for op, value in values.items() if value is not None}

    @cached_property
    def operator(self) -> Operator | None:
        """The one operator given; None where none is needed and none was."""
        return next((Operator(name) for name in self._given()), None)

    @cached_property
    def operand(self) -> Any:
        """What stands with the operator, as parsed: a value, a list of `in`, a timedelta, a share."""
        return next(iter(self._given().values()))

    @property
    def values(self) -> list[Value]:
        """The values compared with: one, or those of `in`."""
        value = self.operand
        return value if isinstance(value, list) else [value]


def _field(operator: Operator) -> str:
    return "in_" if operator is Operator.IN else operator.value


class PropertyTest(Compared):
    """One property of an event against a value: `{property: price, gte: 10}`; `a.b` names one inside another.

    Numbers are compared as numbers (also when sent as text), text with text (also whole numbers and true/false, as they are
    spelled). What is missing, or no number where one is wanted, is unknown. Compared times are not offered: they are text.
    """

    property_: PropertyPath = Field(alias="property")
    contains: Part | None = None
    starts_with: Part | None = None


class Matched(Shape):
    """Events by name (one of several) and by their properties (every test holds)."""

    event: EventName | Annotated[list[EventName], Field(min_length=1, max_length=50)]
    where: list[PropertyTest] = Field(default_factory=list, max_length=20)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, sorted."""
        return tuple(sorted({self.event} if isinstance(self.event, str) else set(self.event)))


class Events(Windowed, Matched):
    """Some events of a profile: by name, properties, and time."""


class Aggregate(StrEnum):
    """What is made of events: how many (the default), or something of a property, or when."""

    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    DISTINCT = "distinct"
    FIRST_VALUE = "first_value"
    LAST_VALUE = "last_value"
    TIME = "time"


class Measure(Events):
    """One value per profile out of its events. Nothing there: `count`, `sum` and `distinct` are 0, the others are unknown.

    `sum`, `min`, `max` take a number property; `distinct` counts different texts of one; `first_value` and `last_value` are the
    text of a property at the first or last event that states it; `time: first` or `last` is when it happened.
    """

    sum_: PropertyPath | None = Field(default=None, alias="sum")
    min_: PropertyPath | None = Field(default=None, alias="min")
    max_: PropertyPath | None = Field(default=None, alias="max")
    distinct: PropertyPath | None = None
    first_value: PropertyPath | None = None
    last_value: PropertyPath | None = None
    time: Literal["first", "last"] | None = None

    @model_validator(mode="after")
    def _one_aggregate(self) -> "Measure":
        if len(found := self._aggregates()) > 1:
            raise ValueError(f"one of sum, min, max, distinct, first_value, last_value, time; found {', '.join(found)}")
        return self

    def _aggregates(self) -> dict[str, str]:
        names = {
            kind.value: f"{kind.value}_" if kind.value in ("sum", "min", "max") else kind.value for kind in Aggregate
        }
        found = {kind: getattr(self, field, None) for kind, field in names.items() if kind != Aggregate.COUNT}
        return {kind: value for kind, value in found.items() if value is not None}

    @cached_property
    def aggregate(self) -> Aggregate:
        """What is made of the events."""
        return next((Aggregate(kind) for kind in self._aggregates()), Aggregate.COUNT)

    @cached_property
    def of(self) -> str | None:
        """The property that is summed, counted or shown; `first` or `last` of a time; None for a count."""
        return next(iter(self._aggregates().values()), None)
