"""Short ways to write a world by hand: events on a day in March 2018, rules and traits as in a file."""

import json
from datetime import datetime, timedelta
from typing import Any

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.rules import RULE
from jobs.segments.language.traits import VALUE, Kind, kind_of_value
from segments.events import Event
from segments.oracle import Oracle, World

DESCRIPTION = "Written for a test by hand"
TICK = timedelta(microseconds=1)


def at(text: str) -> datetime:
    """`10:00` is on 1 March 2018, `03-02 10:00` in 2018; whole dates stand as they are."""
    full = {5: f"2018-03-01T{text}", 8: f"2018-03-01T{text}", 11: f"2018-{text}", 14: f"2018-{text}"}
    return datetime.fromisoformat(full.get(len(text), text).replace(" ", "T"))


def event(
    name: str, when: str, raw: str = "", *, who: str = "a", received: str = "", position: int = 0, **properties: Any
) -> Event:
    """An event that was received when it happened, unless said otherwise; `raw` is its JSON text, else the properties are."""
    text = raw or json.dumps(properties)
    key = f"{name} {when} {position} {text}"
    return Event(who, key, name, at(when), at(received or when), position, text)


def segment(rule: dict[str, Any], name: str = "s", zone: str = "UTC", **header: Any) -> Segment:
    """A segment as its file would make it."""
    made = SegmentHeader(name=name, description=DESCRIPTION, rule=rule, time_zone=zone, **header)
    return Segment(made, RULE.validate_python(rule))


def trait(value: dict[str, Any], name: str = "t", zone: str = "UTC") -> Trait:
    """A trait as its file would make it."""
    typed = VALUE.validate_python(value)
    return Trait(
        TraitHeader(name=name, description=DESCRIPTION, value=value, time_zone=zone), typed, kind_of_value(typed)
    )


def world(
    *definitions: Trait | Segment, events: tuple[Event, ...] = (), people: dict[str, dict[str, Any]] | None = None
) -> World:
    """A world of these definitions; without people there is only `a`."""
    traits = {made.name: made for made in definitions if isinstance(made, Trait)}
    segments = {made.name: made for made in definitions if isinstance(made, Segment)}
    attributes = {"x": Kind.NUMBER, "flag": Kind.FLAG, "city": Kind.TEXT, "born": Kind.TIME}
    return World(Catalogue(traits, segments, attributes), events, people or {"a": {}})


def holds(rule: dict[str, Any], now: str, *events: Event, zone: str = "UTC", people: Any = None) -> bool:
    """Whether a rule holds for profile `a` at an instant."""
    return bool(Oracle(world(segment(rule, zone=zone), events=events, people=people)).answers("a", at(now))["s"])


def value(written: dict[str, Any], now: str, *events: Event, zone: str = "UTC", people: Any = None) -> Any:
    """The value of a trait of profile `a` at an instant."""
    return Oracle(world(trait(written, zone=zone), events=events, people=people)).answers("a", at(now))["t"]
