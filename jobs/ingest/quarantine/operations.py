"""The five things a patch rule may do to a message: rename, cast, default, drop_field, map_value. Data in, data out.

An operation names its place by a path and answers with edits of the text; what it does not find it leaves alone.
"""

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from jobs.ingest.quarantine import paths, spans
from jobs.ingest.quarantine.casts import CASTS, How, known_format
from jobs.ingest.quarantine.spans import Edit, Value

Scalar = StrictStr | StrictBool | StrictInt | Decimal | None


class Operation(BaseModel):
    """Base: immutable, and an unknown key is an error rather than a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """What to change in `text`, which was parsed to `root`."""
        raise NotImplementedError


class Rename(Operation):
    """Gives a key another name, at its place. Leaves an object alone that has that name already."""

    do: Literal["rename"]
    path: paths.KeyPath
    to: paths.Key

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """One edit per key."""
        for holder, key in paths.holders(root, self.path):
            found = holder.named(key)
            if len(found) == 1 and not holder.named(self.to):
                yield Edit(found[0].start, found[0].key_end, spans.quoted(self.to))


class Cast(Operation):
    """Writes a value as another type. What cannot be read as that type stays as it is."""

    do: Literal["cast"]
    path: paths.Path
    to: Literal["string", "number", "integer", "boolean", "timestamp", "date"]
    format: str | None = Field(default=None, description="Of a date or time: dd.MM.yyyy HH:mm, epoch_seconds, …")
    decimal: Literal[".", ","] = Field(default=".", description="The decimal mark of the numbers as sent")

    @model_validator(mode="after")
    def _format_belongs_to_times(self) -> "Cast":
        if (self.format is not None) != (self.to in ("timestamp", "date")):
            raise ValueError("format is needed to cast to timestamp or date, and means nothing otherwise")
        known_format(self.format or "yyyy")
        return self

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """One edit per value that can be cast and is not so already."""
        for value in paths.values(root, self.path):
            before = text[value.start : value.end]
            after = CASTS[self.to](before, How(self.decimal, self.format or ""))
            if after is not None and after != before:
                yield Edit(value.start, value.end, after)


class Default(Operation):
    """Gives a key a value where it is missing or null; its object must be there."""

    do: Literal["default"]
    path: paths.KeyPath
    value: Scalar

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """One edit per object."""
        for holder, key in paths.holders(root, self.path):
            found = holder.named(key)
            if not found:
                yield spans.insertion(text, holder, key, rendered(self.value))
            elif len(found) == 1 and _fragment(text, found[0].value) == "null":
                yield Edit(found[0].value.start, found[0].value.end, rendered(self.value))


class DropField(Operation):
    """Takes a key out, with its value."""

    do: Literal["drop_field"]
    path: paths.KeyPath

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """One edit per key."""
        for holder, key in paths.holders(root, self.path):
            found = holder.named(key)
            if len(found) == 1:
                yield spans.removal(holder, found[0])


class MapValue(Operation):
    """Puts other values in place of some values. A quoted key of `values` is a text, a bare one a number or boolean."""

    do: Literal["map_value"]
    path: paths.Path
    values: dict[Scalar, Scalar] = Field(min_length=1)

    def edits(self, text: str, root: Value) -> Iterator[Edit]:
        """One edit per value that is in the map."""
        for value in paths.values(root, self.path):
            before = _fragment(text, value)
            after = next((new for old, new in self.values.items() if equals(before, old)), before)
            if after is not before:
                yield Edit(value.start, value.end, rendered(after))


AnyOperation = Annotated[Rename | Cast | Default | DropField | MapValue, Field(discriminator="do")]
OPERATIONS: dict[str, type[Operation]] = {
    "rename": Rename,
    "cast": Cast,
    "default": Default,
    "drop_field": DropField,
    "map_value": MapValue,
}


def _fragment(text: str, value: Value) -> str:
    return text[value.start : value.end]


def rendered(scalar: Scalar) -> str:
    """A value of a rule as JSON; a number with the digits that the rule wrote."""
    return str(scalar) if isinstance(scalar, Decimal) else json.dumps(scalar, ensure_ascii=False)


def equals(fragment: str, scalar: Scalar) -> bool:
    """Whether a JSON value is the value of a rule: texts by their characters, numbers by their amount."""
    if isinstance(scalar, str):
        return fragment.startswith('"') and json.loads(fragment) == scalar
    if scalar is None or isinstance(scalar, bool):
        return fragment == rendered(scalar)
    try:
        return fragment[0] in "-0123456789" and Decimal(fragment) == Decimal(scalar)
    except InvalidOperation:  # an exponent beyond all reason
        return False


def patched(text: str, operations: tuple[Operation, ...]) -> str:
    """The text after all operations, in order. Raises NotJsonError when it cannot be read."""
    for operation in operations:
        text = spans.apply(text, operation.edits(text, spans.parse(text)))
    return text
