"""JSON text with the place of every value in it: a patch replaces what it names, and every other byte stays as it came.

Parsing to objects and writing them again would change spaces, escapes and the digits of numbers, and a repaired message
would no longer equal one that came right.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

# What the stream takes at most is 32; a deeper text is set aside for that, and no rule reaches into it.
MAX_DEPTH = 64
_BLANKS = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)
_STRINGS = json.JSONDecoder()


class NotJsonError(ValueError):
    """The text is no JSON, so that nothing in it can be named."""


@dataclass(frozen=True)
class Value:
    """One value at text[start:end]; `members` of an object, `items` of an array, None for the others."""

    start: int
    end: int
    members: tuple["Member", ...] | None = None
    items: tuple["Value", ...] | None = None

    def named(self, key: str) -> list["Member"]:
        """Members of that name; more than one when the text names a key twice, none when this is no object."""
        return [member for member in self.members or () if member.key == key]


@dataclass(frozen=True)
class Member:
    """One `"key": value` of an object; its key, quotes included, is text[start:key_end]."""

    key: str
    start: int
    key_end: int
    value: Value


class Edit(NamedTuple):
    """Put `text` in place of text[start:end]."""

    start: int
    end: int
    text: str


def parse(text: str) -> Value:
    """The one value of the text. Raises NotJsonError."""
    try:
        value = _value(text, _skip(text, 0), 0)
        end = _skip(text, value.end)
    except (ValueError, IndexError) as error:
        raise NotJsonError("no JSON") from error
    if end != len(text):
        raise NotJsonError("text after the value")
    return value


def _skip(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    assert found is not None  # it matches nothing at all, too
    return found.end()


def _value(text: str, at: int, depth: int) -> Value:
    if depth > MAX_DEPTH:
        raise NotJsonError("too deep")
    if text[at] == '"':
        return Value(at, _STRINGS.raw_decode(text, at)[1])
    if text[at] == "{":
        return _object(text, at, depth)
    if text[at] == "[":
        return _array(text, at, depth)
    found = _SCALAR.match(text, at)
    if found is None:
        raise NotJsonError("no value")
    return Value(at, found.end())


def _object(text: str, start: int, depth: int) -> Value:
    members: list[Member] = []
    at = _skip(text, start + 1)
    while text[at] != "}" or members:
        if text[at] != '"':
            raise NotJsonError("no key")
        key, key_end = _STRINGS.raw_decode(text, at)
        colon = _skip(text, key_end)
        if text[colon] != ":":
            raise NotJsonError("no colon")
        value = _value(text, _skip(text, colon + 1), depth + 1)
        members.append(Member(key, at, key_end, value))
        at = _skip(text, value.end)
        if text[at] == "}":
            break
        at = _after_comma(text, at)
    return Value(start, at + 1, members=tuple(members))


def _array(text: str, start: int, depth: int) -> Value:
    items: list[Value] = []
    at = _skip(text, start + 1)
    while text[at] != "]" or items:
        items.append(_value(text, at, depth + 1))
        at = _skip(text, items[-1].end)
        if text[at] == "]":
            break
        at = _after_comma(text, at)
    return Value(start, at + 1, items=tuple(items))


def _after_comma(text: str, at: int) -> int:
    if text[at] != ",":
        raise NotJsonError("no comma")
    return _skip(text, at + 1)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits done; they must not overlap."""
    for edit in sorted(edits, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def quoted(text: str) -> str:
    """A text as a JSON string."""
    return json.dumps(text, ensure_ascii=False)


def removal(holder: Value, member: Member) -> Edit:
    """Takes the member out, with the comma that belongs to it."""
    assert holder.members is not None
    place = holder.members.index(member)
    if place + 1 < len(holder.members):
        return Edit(member.start, holder.members[place + 1].start, "")
    if place:
        return Edit(holder.members[place - 1].value.end, member.value.end, "")
    return Edit(member.start, member.value.end, "")


def insertion(text: str, holder: Value, key: str, value: str) -> Edit:
    """Adds a member at the end of an object, spaced as its neighbours are."""
    if not holder.members:
        return Edit(holder.start + 1, holder.start + 1, f"{quoted(key)}:{value}")
    last = holder.members[-1]
    colon = text[last.key_end : last.value.start]
    comma = ", " if colon.endswith(" ") else ","
    if len(holder.members) > 1:
        comma = text[holder.members[-2].value.end : last.start]
    return Edit(last.value.end, last.value.end, f"{comma}{quoted(key)}{colon}{value}")
