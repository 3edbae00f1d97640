"""Finds the messages of a batch whose JSON is broken in places, by quotes and brackets alone; no value is read.

A strict parser gives up on the whole body when one message holds NaN, a lone surrogate or a typo. Here a message is what
stands between two commas of the `batch` array, so the others come to no harm; what is in it is judged later. Vectorised,
so that a hostile body costs milliseconds.
"""

import itertools
import json
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MEMBER = re.compile(rb'\s*"((?:[^"\\]++|\\.)*+)"\s*:', re.DOTALL)
MEMBER_LIMIT = 10_000
HEAD = 65_536
QUOTE, COMMA, BACKSLASH = b'",\\'


class UnsplittableError(ValueError):
    """The text is not one object with matching brackets."""


class DuplicateMemberError(ValueError):
    """The outermost object names a member twice: which one counts would be a guess."""


class TooManyElementsError(ValueError):
    """The batch has more elements than allowed."""


@dataclass
class Scanned:
    """The members of the outermost object as they stand, and the elements of the one called `batch`."""

    members: dict[bytes, bytes] = field(default_factory=dict)
    elements: list[bytes] | None = None


@dataclass
class _Structure:
    """Per byte: is it outside of strings, and how deep are we after it."""

    codes: npt.NDArray[np.uint8]
    outside: npt.NDArray[np.bool_]
    depth: npt.NDArray[np.int32]

    @classmethod
    def of(cls, text: bytes) -> "_Structure":
        codes = np.frombuffer(text, dtype=np.uint8)
        quotes = codes == QUOTE
        if b"\\" in text:
            quotes &= ~_escaped(codes)
        outside = ~np.logical_xor.accumulate(quotes)
        # "[" and "{", "]" and "}" differ in one bit: 0x5B/0x7B, 0x5D/0x7D.
        folded = codes | 0x20
        step = ((folded == ord("{")) & outside).astype(np.int8) - ((folded == ord("}")) & outside)
        return cls(codes, outside, np.cumsum(step, dtype=np.int32))

    def commas(self, depth: int) -> npt.NDArray[np.intp]:
        """Where commas stand at this depth."""
        return np.flatnonzero((self.codes == COMMA) & self.outside & (self.depth == depth))


def _escaped(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Per byte: does an odd number of backslashes stand right before it."""
    places = np.arange(codes.size, dtype=np.int32)
    last_other = np.maximum.accumulate(np.where(codes == BACKSLASH, np.int32(-1), places))
    escaped = np.zeros(codes.size, dtype=np.bool_)
    escaped[1:] = ((places - last_other)[:-1] & 1).astype(np.bool_)
    return escaped


def is_deeper(text: bytes, limit: int) -> bool:
    """Whether brackets, those in strings aside, are nested deeper than `limit`."""
    if text.count(b"{") + text.count(b"[") <= limit:
        return False
    return any(int(_Structure.of(part).depth.max(initial=0)) > limit for part in (text[:HEAD], text))


def scan(body: bytes, element_limit: int | None) -> Scanned:
    """Takes an object apart without judging its values; with `element_limit`, its batch too.

    Raises UnsplittableError, DuplicateMemberError, or TooManyElementsError.
    """
    text = body.strip()
    structure = _Structure.of(text)
    ends = np.flatnonzero(structure.depth == 0)
    is_object = text.startswith(b"{") and text.endswith(b"}") and bool(structure.outside[-1])
    if not is_object or not ends.size or ends[0] != len(text) - 1:
        raise UnsplittableError
    commas = structure.commas(1)
    if element_limit is not None and commas.size > MEMBER_LIMIT:
        raise UnsplittableError
    found = Scanned()
    for start, end in itertools.pairwise([0, *commas[:MEMBER_LIMIT].tolist(), len(text) - 1]):
        member = MEMBER.match(text, start + 1, end)
        if member is not None:
            key, value = _plain(member.group(1)), text[member.end() : end].strip()
            if element_limit is not None:
                _check_once(key, found)
                if key == b"batch" and value.startswith(b"[") and value.endswith(b"]"):
                    found.elements = _elements(text, structure, member.end(), end, element_limit)
            found.members[key] = value
        elif element_limit is not None and text[start + 1 : end].strip():
            raise UnsplittableError
    return found


def _plain(key: bytes) -> bytes:
    """A key without escapes, so that no spelling of it passes for another one."""
    if b"\\" not in key:
        return key
    try:
        return str(json.loads(b'"' + key + b'"')).encode("utf-8", "surrogatepass")
    except ValueError:
        return key


def _check_once(key: bytes, found: Scanned) -> None:
    if key in found.members:
        raise DuplicateMemberError


def _elements(text: bytes, structure: _Structure, start: int, end: int, limit: int) -> list[bytes]:
    """What stands between the commas of the array in this span; nothing between two commas is no element."""
    commas = structure.commas(2)
    inner = commas[(commas > start) & (commas < end)]
    if inner.size >= limit:
        raise TooManyElementsError
    edges = [text.index(b"[", start), *inner.tolist(), text.rindex(b"]", start, end)]
    pieces = (text[before + 1 : after].strip() for before, after in itertools.pairwise(edges))
    return [piece for piece in pieces if piece]
