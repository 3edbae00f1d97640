"""Small catalogues and histories for tests of segments, all invented, and a connection in which they stand."""

import json
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import duckdb
import yaml

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.rules import RULE
from jobs.segments.language.traits import VALUE, Kind, kind_of_value

DESCRIPTION = "Used by the tests of segments."
EVENTS = (
    "profile_id varchar, event_key varchar, name varchar, effective_at timestamp, received_at timestamp, "
    "receive_position bigint, properties varchar"
)
# (profile, event, time, properties); received when it happened
History = Iterable[tuple[str, str, str, dict[str, Any]]]


def trait(name: str, value: str, **more: Any) -> Trait:
    """A trait out of one line of YAML."""
    written = yaml.safe_load(value)
    made = VALUE.validate_python(written)
    header = TraitHeader(name=name, description=DESCRIPTION, value=written, **more)
    return Trait(header, made, kind_of_value(made))


def segment(name: str, rule: str, **more: Any) -> Segment:
    """A segment out of one line of YAML."""
    written = yaml.safe_load(rule)
    return Segment(
        SegmentHeader(name=name, description=DESCRIPTION, rule=written, **more), RULE.validate_python(written)
    )


def catalogue(*definitions: Trait | Segment, **attributes: Kind) -> Catalogue:
    """Traits and segments in the order given."""
    traits = {made.name: made for made in definitions if isinstance(made, Trait)}
    segments = {made.name: made for made in definitions if isinstance(made, Segment)}
    return Catalogue(traits, segments, attributes)


def world(history: History, attributes: Iterable[tuple[str, str]] = ()) -> Any:
    """An open connection (closing context) with eval_events and attributes (profile_id, city); ask by `ask`."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create table eval_events ({EVENTS})")
    rows = [
        (who, f"e{place}", name, at, at, place, json.dumps(said)) for place, (who, name, at, said) in enumerate(history)
    ]
    if rows:
        connection.executemany("insert into eval_events values (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.execute("create table attributes (profile_id varchar, city varchar)")
    for pair in attributes:
        connection.execute("insert into attributes values (?, ?)", list(pair))
    return closing(connection)


def ask(connection: Any, moments: Iterable[tuple[str, str]]) -> None:
    """Who is asked for at which moment."""
    connection.execute("create or replace table asked (profile_id varchar, as_of timestamp)")
    for pair in moments:
        connection.execute("insert into asked values (?, ?)", list(pair))
