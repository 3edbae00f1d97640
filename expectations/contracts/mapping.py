"""How a source's own messages (a vendor's JSON, rows of a file) become Segment messages: typed, and checked when loaded.

Only what is named here is taken over; everything else stays in bronze. A path is JSONPath as Spark reads it: `$.data.email`,
`$['e-mail address']`, `$.items[0].id`; a row of a file is an object of its columns. Where a list of paths stands, the first
value counts that is there and not blank.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from expectations.contracts.fields import Frozen

PATH = re.compile(r"^\$(\.[A-Za-z_][\w-]*|\['[^'\]]+'\]|\[\d{1,4}\])+$")
TOP_KEY = re.compile(r"^\$(?:\.([\w-]+)|\['([^']+)'\])")
IdentifierKind = Literal["user_id", "anonymous_id", "loyalty_id", "email", "phone"]
Purpose = Literal["analytics", "marketing", "profiling", "sharing"]
MessageType = Literal["track", "identify", "page", "screen", "group", "alias"]


def _known_path(value: str) -> str:
    if not PATH.match(value):
        raise ValueError(f"{value!r} is no path; expected $.name, $['a name'] or $.list[0], one after the other")
    return value


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _as_path(value: object) -> object:
    return {"path": value} if isinstance(value, str | list | tuple) else value


Path = Annotated[str, AfterValidator(_known_path)]
FirstOf = Annotated[tuple[Path, ...], BeforeValidator(_listed), Field(min_length=1)]
Parts = Annotated[tuple[FirstOf, ...], BeforeValidator(_listed), Field(min_length=1, max_length=4)]


class Lookup(Frozen):
    """A word made of one or more values, joined by dots (`cleaned.hard`), and what it means.

    The later parts only refine: without an entry for `cleaned.hard` the one for `cleaned` counts. A word without any
    entry stays as it is, and is judged so: as an unknown event.
    """

    of: Parts
    values: dict[str, str] = Field(default_factory=dict)


class EventId(Frozen):
    """What tells the events of a source apart: a value of its own, else a keyed hash of the values that make an event."""

    path: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = ()
    hash_of: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _is_stated(self) -> "EventId":
        if not self.path and not self.hash_of:
            raise ValueError("needs path, hash_of, or both")
        return self


class Moment(Frozen):
    """When it happened: ISO 8601 (without a zone it is UTC), or seconds or milliseconds since 1970."""

    path: FirstOf
    format: Literal["iso", "epoch_s", "epoch_ms"] = "iso"


class Value(Frozen):
    """Where a property comes from: a path, a constant, or `items`, an array of objects.

    `items` name the properties of each object by paths within it; without `path` the row itself is the only object.
    `type` says what it is written as; a value that is not of the type stays text, for the event's contract to judge.
    """

    path: Annotated[tuple[Path, ...], BeforeValidator(_listed)] = ()
    constant: str | None = None
    type: Literal["string", "number", "boolean", "object"] = "string"
    items: dict[str, Annotated["Value", BeforeValidator(_as_path)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> "Value":
        if bool(self.path or self.items) == (self.constant is not None):
            raise ValueError("needs a path, a constant or items")
        if self.items and self.type != "string":
            raise ValueError("items are an array; type belongs to the values in it")
        if any(item.items for item in self.items.values()):
            raise ValueError("items inside items are not mapped")
        return self


class ConsentRule(Frozen):
    """Which words grant or deny a purpose, upper and lower case aside; by default the word is the event's mapped name.

    With `granted` alone any other word is a denial; with `denied` alone, or both, any other word says nothing. A grant
    counts only in events by which a person states consent, a denial in every event.
    """

    of: Parts | None = None
    granted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_something(self) -> "ConsentRule":
        if not self.granted and not self.denied:
            raise ValueError("needs granted, denied, or both")
        if not self.denied and self.of is None:
            raise ValueError("granted by the event's name would deny by all others; name them in denied")
        return self


class EventMapping(Frozen):
    """What becomes of a source's own messages. `name` belongs to track events; the others are named by their type."""

    event_id: Annotated[EventId, BeforeValidator(_as_path)]
    type: MessageType | Lookup = "track"
    name: str | Lookup | None = None
    timestamp: Annotated[Moment, BeforeValidator(_as_path)]
    identifiers: dict[IdentifierKind, FirstOf] = Field(min_length=1)
    properties: dict[str, Annotated[Value, BeforeValidator(_as_path)]] = Field(default_factory=dict)
    consents: dict[Purpose, ConsentRule] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _track_events_are_named(self) -> "EventMapping":
        if self.type in ("identify", "page", "screen", "group", "alias") and self.name is not None:
            raise ValueError(f"name belongs to track events; the type is {self.type}")
        if (self.type == "track" or isinstance(self.type, Lookup)) and self.name is None:
            raise ValueError("track events need a name")
        return self

    def names(self) -> Iterator[str]:
        """The names of events that can come out, as far as they are written here."""
        types = self.type.values.values() if isinstance(self.type, Lookup) else [self.type]
        yield from (kind for kind in types if kind != "track")
        if isinstance(self.name, Lookup):
            yield from self.name.values.values()
        elif self.name is not None:
            yield self.name

    def top_keys(self) -> set[str]:
        """The outermost keys that the paths name: the columns, in a row of a file."""
        keys = (TOP_KEY.match(path) for path in self.paths())
        return {found[1] or found[2] for found in keys if found}

    def paths(self) -> Iterator[str]:
        """All paths from a message's outermost object, repeated as often as they are used."""
        yield from (*self.event_id.path, *self.event_id.hash_of, *self.timestamp.path)
        lookups = [
            part for part in (self.type, self.name, *self.consents.values()) if isinstance(part, Lookup | ConsentRule)
        ]
        yield from (path for lookup in lookups for part in lookup.of or () for path in part)
        yield from (path for paths in self.identifiers.values() for path in paths)
        for value in self.properties.values():
            yield from value.path
            if not value.path:
                yield from (path for item in value.items.values() for path in item.path)
