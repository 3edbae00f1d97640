"""Why a scenario turned out otherwise: what last changed, what a person did, and the values that the definition reads."""

from collections.abc import Iterable, Mapping
from typing import Any

from jobs.segments.compile.rules import trait_column
from jobs.segments.language.references import TRAIT, read_by
from jobs.segments.scenarios.stage import Stage

MOST_EVENTS = 6


def why_member(stage: Stage, segment: str, people: Iterable[str], batch: Mapping[str, Mapping[str, Any]]) -> str:
    """A line per person."""
    return "\n    ".join(_about(stage, segment, who, batch.get(who, {})) for who in sorted(people))


def _about(stage: Stage, segment: str, who: str, values: Mapping[str, Any]) -> str:
    parts = []
    turns = [row for row in stage.changes if row["segment"] == segment and row["profile_id"] == who]
    for row in turns[-2:]:
        keys = f" ({', '.join(row['event_keys'])})" if row["event_keys"] else ""
        verb = "entered" if row["is_entry"] else "left"
        parts.append(f"{verb} at {row['valid_at']:%Y-%m-%d %H:%M:%S} by {row['cause']}{keys}")
    read = read_by(stage.world.catalogue.segments[segment])
    for kind, name in sorted(read):
        if kind == TRAIT:
            value = values.get(trait_column(name), stage.people[who].get(name))
            parts.append(f"{name} is {value if value is not None else 'unknown'}")
    did = [one for one in stage.events if one.who == who][-MOST_EVENTS:]
    parts += [f"{one.name} at {one.effective_at:%Y-%m-%d %H:%M:%S} {dict(one.properties) or ''}".strip() for one in did]
    return f"{who}: {'; '.join(parts) or 'did nothing'}"


def why_decided(rows: Iterable[Mapping[str, Any]]) -> str:
    """A line per decision."""
    return "\n    ".join(
        f"{row['decision']} of {row['message'] or row['trigger_name']} for {row['profile_id']}: occasion at"
        f" {row['occasion_at']:%Y-%m-%d %H:%M:%S}, decided at {row['decided_at']:%Y-%m-%d %H:%M:%S}"
        + (f", because {', '.join(row['reasons'])}" if row["reasons"] else "")
        + (f", by {', '.join(row['event_keys'])}" if row["event_keys"] else "")
        for row in rows
    )
