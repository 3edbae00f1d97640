"""Segment messages, one JSON object a line, as events of profiles; or why a line is none."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TYPES = ("track", "page", "screen", "identify", "group", "alias")
LONGEST_LINE = 1_048_576


class LineError(ValueError):
    """A line that is no event; the message says why in a few words."""


@dataclass(frozen=True)
class Refused:
    """A line that was set aside."""

    line: int
    reason: str
    text: str


def read_lines(path: Path) -> Iterator[dict[str, Any] | Refused]:
    """Events (profile_id, event_key, name, effective_at, received_at, receive_position, properties, is_simulated) and lines
    that are none, in the order of the file. Empty lines are passed over; a messageId that comes again is refused."""
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            if not text.strip():
                continue
            try:
                found = event_of(_parsed(raw), number)
                if found["event_key"] in seen:
                    raise LineError("this messageId has come before")
            except LineError as error:
                yield Refused(number, str(error), text)
                continue
            seen.add(found["event_key"])
            yield found


def event_of(message: dict[str, Any], number: int) -> dict[str, Any]:
    """The event of a message; raises LineError. Who: userId, else anonymousId. When: timestamp, but never after receivedAt,
    which is the timestamp itself where it is missing."""
    kind = message.get("type")
    if kind not in TYPES:
        raise LineError(f"type is none of {', '.join(TYPES)}")
    who = _text(message, "userId") or _text(message, "anonymousId")
    if not who:
        raise LineError("neither userId nor anonymousId")
    name = _text(message, "event") if kind == "track" else kind
    if not name:
        raise LineError("a track without event")
    stated, received = _time(message, "timestamp"), _time(message, "receivedAt")
    if stated is None and received is None:
        raise LineError("neither timestamp nor receivedAt")
    at = received or stated
    assert at is not None
    properties = message.get("traits" if kind == "identify" else "properties") or {}
    if not isinstance(properties, dict):
        raise LineError("properties are no object")
    key = _text(message, "messageId")
    if not key:
        raise LineError("no messageId")
    return {
        "profile_id": who, "event_key": key, "name": name, "effective_at": min(stated or at, at), "received_at": at,
        "receive_position": number, "properties": json.dumps(properties), "is_simulated": False,
    }  # fmt: skip


def _parsed(raw: bytes) -> dict[str, Any]:
    if len(raw) > LONGEST_LINE:
        raise LineError(f"longer than {LONGEST_LINE} bytes")
    try:
        found = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_object, parse_float=_finite, parse_constant=_constant
        )
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (UnicodeError, RecursionError) as error:
        raise LineError("not sound UTF-8, or nested without end") from error
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON: {error.msg}") from error
    except ValueError as error:
        raise LineError("a number of more digits than are read") from error
    if not isinstance(found, dict):
        raise LineError("not a JSON object")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise LineError("a key stands twice")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(found := float(text)):
        raise LineError("a number beyond all bounds")
    return found


def _constant(text: str) -> None:
    raise LineError(f"{text} is no JSON")


def _text(message: dict[str, Any], name: str) -> str | None:
    found = message.get(name)
    if found is not None and not isinstance(found, str):
        raise LineError(f"{name} is no text")
    return found


def _time(message: dict[str, Any], name: str) -> datetime | None:
    found = _text(message, name)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise LineError(f"{name} is no ISO 8601 time, or out of range") from error
