"""Small catalogues and histories for the tests of the real-time evaluator."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import yaml

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.rules import RULE
from jobs.segments.language.traits import VALUE, Kind, kind_of_value

T0 = datetime(2024, 3, 4, 12, tzinfo=UTC)
ABOUT = "Used by the tests of the evaluator."
EVENT_COLUMNS = pa.schema(
    [
        ("profile_id", pa.string()),
        ("event_key", pa.string()),
        ("name", pa.string()),
        ("effective_at", pa.timestamp("us", tz="UTC")),
        ("received_at", pa.timestamp("us", tz="UTC")),
        ("receive_position", pa.int64()),
        ("properties", pa.string()),
        ("is_simulated", pa.bool_()),
    ]
)


def catalogue(
    segments: Mapping[str, str], traits: Mapping[str, str] | None = None, attributes: Mapping[str, Kind] | None = None
) -> Catalogue:
    """Definitions out of YAML: a segment's text is its rule, or a mapping with `rule` and other fields of the header."""
    made = {}
    for name, text in (traits or {}).items():
        header = TraitHeader(name=name, description=ABOUT, value=yaml.safe_load(text))
        value = VALUE.validate_python(header.value)
        made[name] = Trait(header, value, kind_of_value(value))
    found = {}
    for name, text in segments.items():
        written = yaml.safe_load(text)
        fields = written if "rule" in written else {"rule": written}
        segment_header = SegmentHeader.model_validate({"name": name, "description": ABOUT} | fields)
        found[name] = Segment(segment_header, RULE.validate_python(segment_header.rule))
    return Catalogue(made, found, dict(attributes or {}))


def at(minutes: float) -> datetime:
    """So many minutes after T0."""
    return T0 + timedelta(minutes=minutes)


def event(
    profile: str, name: str, minutes: float, *, late: float = 0, key: str = "", **properties: Any
) -> dict[str, Any]:
    """An event that happened `minutes` after T0 and was received `late` minutes after that."""
    import json

    happened = at(minutes)
    return {
        "profile_id": profile,
        "event_key": key or f"{profile}-{name}-{minutes}",
        "name": name,
        "effective_at": happened,
        "received_at": happened + timedelta(minutes=late),
        "receive_position": int(minutes * 1000),
        "properties": json.dumps(properties),
        "is_simulated": True,
    }


def events(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Events as an evaluator takes them."""
    return pa.Table.from_pylist(list(rows), schema=EVENT_COLUMNS)


def told(changes: pa.Table) -> list[tuple[str, str, str, float, str]]:
    """(profile, enters or leaves, segment, minutes after T0 at which it is valid, cause) of each change, in order."""
    return [
        (
            row["profile_id"],
            "enters" if row["is_entry"] else "leaves",
            row["segment"],
            (row["valid_at"].replace(tzinfo=UTC) - T0) / timedelta(minutes=1),
            row["cause"],
        )
        for row in changes.to_pylist()
    ]
