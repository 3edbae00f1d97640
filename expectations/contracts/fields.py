"""Typed shape of one field: a property of an event, or a column of a record file. Checked when the YAML is loaded."""

import re
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

NUMERIC = ("number", "integer")
FieldType = Literal["string", "number", "integer", "boolean", "timestamp", "date", "object", "array"]


class PiiClass(StrEnum):
    """How a value points at a person; every class but `none` is tokenised or dropped before silver.

    Card numbers and secrets have no class: they are not to be sent at all, and a file that holds them is held.
    """

    NONE = "none"
    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    ADDRESS = "address"
    DEVICE = "device_id"
    IP = "ip"
    BIRTH_DATE = "birth_date"
    NATIONAL_ID = "national_id"
    BANK_ACCOUNT = "bank_account"


# What a record of a person may say, for the matching of records; the class that a value must have, None for any.
PERSON_COLUMNS: dict[str, PiiClass | None] = {
    "given_name": PiiClass.NAME,
    "surname": PiiClass.NAME,
    "birth_date": PiiClass.BIRTH_DATE,
    "email": PiiClass.EMAIL,
    "phone": PiiClass.PHONE,
    "address": PiiClass.ADDRESS,
    "city": None,
    "postcode": None,
    "state": None,
    "national_id": PiiClass.NATIONAL_ID,
}


class Frozen(BaseModel):
    """Base of all contract shapes: immutable, and unknown keys are an error rather than a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OutlierRule(Frozen):
    """When a valid number is flagged as an outlier. The row is flagged and kept, never set aside.

    Robust Z-score per (source, event, field): 0.6745 · |x - median| / MAD (Iglewicz and Hoaglin, 1993), with median and
    MAD of the values of the last `window_days` whole UTC days before the run's day. A value above `threshold` is flagged;
    with fewer than `min_count` values in the window nothing is. Where more than half of the values are equal, MAD is 0 and
    the median of the deviations that are not 0 takes its place, if there are 10 of them; otherwise nothing is flagged.
    """

    threshold: float = Field(default=6.0, gt=0)
    window_days: int = Field(default=30, ge=1, le=366)
    min_count: int = Field(default=100, ge=10)


class FieldContract(Frozen):
    """One property of an event or one column of a record file, as the producer sends it (always text on arrival).

    `min` and `max` are inclusive, `max_length` counts characters, `pattern` is a regular expression that must be found in
    the value (write ^ and $ to bind its ends), `allowed` a closed set of values. An array holds objects of `items`.
    `person` says which column of a person's record the value is; the vault keeps it, for the matching of records.
    """

    type: FieldType = "string"
    required: bool = False
    pii: PiiClass = PiiClass.NONE
    min: float | None = None
    max: float | None = None
    max_length: int | None = Field(default=None, ge=1)
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    outlier: OutlierRule | None = None
    description: str = ""
    person: str | None = None
    items: dict[str, "FieldContract"] = Field(default_factory=dict)

    @property
    def is_classed(self) -> bool:
        """Whether the contract states a PII class; `pii: none` written out says that somebody has looked."""
        return "pii" in self.model_fields_set

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> "FieldContract":
        """A rule that its type cannot be judged by would be a promise that nobody keeps."""
        problems = {
            "min, max and outlier need type number or integer": self.type not in NUMERIC
            and (self.min, self.max, self.outlier) != (None, None, None),
            "pattern and max_length need type string": self.type != "string"
            and (self.pattern, self.max_length) != (None, None),
            "allowed needs type string or integer": bool(self.allowed) and self.type not in ("string", "integer"),
            "allowed values of an integer are whole numbers": self.type == "integer"
            and not all(re.fullmatch(r"-?\d+", value) for value in self.allowed),
            "min is greater than max": self.min is not None and self.max is not None and self.min > self.max,
            "items belong to type array, and an array declares what its objects hold": bool(self.items)
            != (self.type == "array"),
        }
        found = [text for text, is_wrong in problems.items() if is_wrong]
        if found:
            raise ValueError("; ".join(found))
        return self

    @model_validator(mode="after")
    def _pattern_compiles(self) -> "FieldContract":
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        return self

    @model_validator(mode="after")
    def _person_is_a_column(self) -> "FieldContract":
        """A name that says `pii: none` would stand in silver in the clear."""
        if self.person is None:
            return self
        if self.person not in PERSON_COLUMNS:
            raise ValueError(f"person {self.person!r} is none of {', '.join(PERSON_COLUMNS)}")
        wanted = PERSON_COLUMNS[self.person]
        if wanted not in (None, self.pii):
            raise ValueError(f"person: {self.person} needs pii: {wanted}")
        return self

    @model_validator(mode="after")
    def _items_are_plain(self) -> "FieldContract":
        """Only the first level of an array is judged, and no PII inside it is tokenised: neither may be promised."""
        for name, item in self.items.items():
            if item.items:
                raise ValueError(f"items.{name}: an array inside an array is not judged; leave it undeclared")
            if item.outlier is not None:
                raise ValueError(
                    f"items.{name}: outliers inside an array are not judged; declare the rule on a property of its own"
                )
            if item.pii is not PiiClass.NONE or item.person:
                raise ValueError(
                    f"items.{name}: PII inside an array is not tokenised; send it as a property of its own"
                )
        return self
