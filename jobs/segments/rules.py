"""The rule language of segments: all, any, not, and comparisons of one trait with a value.

Rules know two answers only: a comparison with a trait that is not known is no. So `not` of it is yes, and `ne` holds for
profiles without the trait; SQL's third answer never decides who is contacted.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from jobs.core.definitions import DefinitionError, SegmentHeader, validation_message

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = StrictBool | StrictInt | Finite | StrictStr | datetime | date


class Operator(StrEnum):
    """How a trait is compared; `is_null` and `is_true` take true or false, `in` a list, the others one value."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    IN = "in"
    IS_NULL = "is_null"
    IS_TRUE = "is_true"


class Shape(BaseModel):
    """Base of the rule shapes: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Comparison(Shape):
    """One trait, one operator, its value: `{trait: order_count, gte: 5}`."""

    trait: str
    eq: Value | None = None
    ne: Value | None = None
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None
    in_: list[Value] | None = Field(default=None, alias="in", min_length=1)
    is_null: StrictBool | None = None
    is_true: StrictBool | None = None

    @model_validator(mode="after")
    def _one_operator(self) -> "Comparison":
        given = self._given()
        if len(given) != 1:
            known = ", ".join(Operator)
            raise ValueError(f"a comparison takes exactly one of {known}; found {', '.join(given) or 'none'}")
        return self

    def _given(self) -> dict[str, Any]:
        values = {op: getattr(self, "in_" if op is Operator.IN else op.value) for op in Operator}
        return {op.value: value for op, value in values.items() if value is not None}

    @property
    def operator(self) -> Operator:
        """The one operator given."""
        return Operator(next(iter(self._given())))

    @property
    def values(self) -> list[Value]:
        """The values compared with: one, or those of `in`."""
        value = next(iter(self._given().values()))
        return value if isinstance(value, list) else [value]


class AllOf(Shape):
    """Every rule of the list holds."""

    all_of: list["Rule"] = Field(alias="all", min_length=1)


class AnyOf(Shape):
    """At least one rule of the list holds."""

    any_of: list["Rule"] = Field(alias="any", min_length=1)


class Not(Shape):
    """The rule does not hold."""

    negated: "Rule" = Field(alias="not")


def _kind(value: Any) -> str | None:
    if isinstance(value, Shape):
        return {AllOf: "all", AnyOf: "any", Not: "not", Comparison: "trait"}[type(value)]
    if not isinstance(value, dict):
        return None
    return next((kind for kind in ("all", "any", "not", "trait") if kind in value), None)


Rule = Annotated[
    Annotated[AllOf, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[Not, Tag("not")]
    | Annotated[Comparison, Tag("trait")],
    Discriminator(
        _kind,
        custom_error_type="rule_kind",
        custom_error_message="a rule is a mapping with one of: all, any, not, trait",
    ),
]
for _shape in (AllOf, AnyOf, Not):
    _shape.model_rebuild()
_RULE: TypeAdapter[AllOf | AnyOf | Not | Comparison] = TypeAdapter(Rule)


def parse_rule(header: SegmentHeader) -> AllOf | AnyOf | Not | Comparison:
    """The typed rule of a segment; raises DefinitionError naming the segment and every problem with its place."""
    try:
        return _RULE.validate_python(header.rule)
    except ValidationError as error:
        raise DefinitionError(f"segments/{header.name}.yml: rule: {validation_message(error)}") from error
