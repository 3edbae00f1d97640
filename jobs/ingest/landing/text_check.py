"""Is a message's text one sound JSON object? The door's own strict look, with the reason code when it is not.

Python's parser is lenient in known ways (duplicate keys, NaN, lone surrogates, huge numbers, NUL); its hooks see them all
in the one pass. `jobs.ingest.stream.strict` says the same of texts that passed no door of ours (Kafka); a test holds
the two together over every nasty text we know.
"""

import json
import re
from typing import Any

from jobs.ingest.reasons import Reason

MAX_DEPTH = 32
MAX_KEYS = 256
MAX_DIGITS = 38  # what an engine's exact numbers hold
MAX_SAFE_ID = 2**53
IDS = ("messageId", "userId", "anonymousId", "loyaltyId")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)
_HUGE = re.compile(r"\d{39}|[eE]\+?(?:[3-9]\d\d|\d{4})")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class _FoundError(ValueError):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _FoundError(Reason.DUPLICATE_KEY)
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _FoundError(Reason.BAD_NUMBER)
    return int(text)


def _float(text: str) -> float:
    """Refuses exponents of 300 and more, all that can leave double's range with them, and 39 digits in a row."""
    if _HUGE.search(text):
        raise _FoundError(Reason.BAD_NUMBER)
    return float(text)


def _constant(_: str) -> None:
    raise _FoundError(Reason.BAD_NUMBER)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


def text_error(text: str) -> Reason | None:
    """The reason code of a text that is not one sound JSON object; None for a sound one."""
    body = text.strip(" \t\r\n")
    if not body:
        return Reason.EMPTY
    if not body.startswith("{"):
        return Reason.NOT_AN_OBJECT
    if body.count("{") + body.count("[") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return Reason.TOO_DEEP
    try:
        found = _DECODER.decode(body)
    except _FoundError as error:
        return error.reason
    except (ValueError, RecursionError):
        return Reason.INVALID_ENCODING if _has_lone_surrogate(body) else Reason.MALFORMED_JSON
    return _second_look(body, found)


def _second_look(body: str, found: dict[str, Any]) -> Reason | None:
    """What parses and is unsound all the same."""
    if "\\u" in body and (_has_lone_surrogate(body) or "\\u0000" in _unescaped(body)):
        return Reason.INVALID_ENCODING
    if any(isinstance(found.get(name), int) and abs(found[name]) > MAX_SAFE_ID for name in IDS):
        return Reason.BAD_NUMBER
    if body.count('":') > MAX_KEYS and len(_keys(found, set())) > MAX_KEYS:
        return Reason.TOO_MANY_KEYS
    return None


def _has_lone_surrogate(body: str) -> bool:
    return bool(_SURROGATE.search(body) and _LONE_SURROGATE.search(_unescaped(body)))


def _unescaped(body: str) -> str:
    """Without written backslashes, so that what is left of a backslash and a u is an escape."""
    return body.replace("\\\\", "")


def _depth(body: str) -> int:
    """Deepest nesting, brackets inside strings aside; of broken texts too, which is why it is not read off a parse."""
    depth = deepest = 0
    for letter in re.findall(r"[\[{}\]]", _STRING.sub("", body)):
        depth += 1 if letter in "[{" else -1
        deepest = max(deepest, depth)
        if deepest > MAX_DEPTH:
            break
    return deepest


def _keys(found: object, names: set[str]) -> set[str]:
    if isinstance(found, dict):
        names.update(found)
        for value in found.values():
            _keys(value, names)
    elif isinstance(found, list):
        for value in found:
            _keys(value, names)
    return names
