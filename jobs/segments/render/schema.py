"""The schema YAML of the models: grain, what each column is, and the data tests."""

from pathlib import Path
from typing import Any

import yaml

from jobs.core.definitions import SegmentHeader
from jobs.segments.compile import percentiles
from jobs.segments.compile.program import compiled
from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.language.model import Catalogue
from jobs.segments.render.models import (
    EVENTS,
    EVERY,
    INTERMEDIATE,
    MEASURED,
    PROFILES,
    RANKED,
    SEGMENTS,
    day_measures,
    day_values,
)

Properties = dict[str, Any]


def schemas(catalogue: Catalogue) -> dict[Path, str]:
    """Path below the project → YAML, of the intermediate models and of the segments."""
    segments = [_segment(catalogue.segments[name].header) for name in sorted(catalogue.segments)]
    return {
        INTERMEDIATE / "_int_segments.yml": _dumped([*_steps(catalogue), _profiles(catalogue)]),
        SEGMENTS / "_segments.yml": _dumped(segments),
    }


def _dumped(models: list[Properties]) -> str:
    body = yaml.safe_dump({"version": 2, "models": models}, sort_keys=False, allow_unicode=True, width=110)
    return f"# {EVERY}\n{body}"


def _model(name: str, description: str, *keys: str, where: str | None = None) -> Properties:
    test: Properties = {"unique_together": {"arguments": {"columns": list(keys)}}}
    if where:
        test["unique_together"]["config"] = {"where": where}
    return {"name": name, "description": description, "data_tests": [test]}


def _steps(catalogue: Catalogue) -> list[Properties]:
    zones = percentiles.zones(compiled(catalogue))
    rank = "One row per percentile, day and profile in it; percentiles are taken at the start of a day."
    values = "One row per profile and start of a day ({zone}), with the traits of which percentiles are taken."
    measures = "One row per profile and moment: {}, and when time alone may next change it (due_by_events)."
    start = "what those traits are made of, at the start of the day ({})"
    events = "One row per event of a profile that some definition counts, its properties typed."
    return [
        _model(EVENTS, events, "event_key", where="changed(event_key, int_changes__events)"),
        _model(MEASURED, measures.format("what rules ask of its events"), "profile_id"),
        *(_model(day_measures(zone), measures.format(start.format(zone)), "profile_id") for zone in zones),
        *(_model(day_values(zone), values.format(zone=zone), "profile_id", "as_of") for zone in zones),
        _model(RANKED, rank, "percentile", "day", "profile_id"),
    ]


def _profiles(catalogue: Catalogue) -> Properties:
    columns = [_column("profile_id", "Resolved person"), _column("as_of", "Time the row describes (UTC)")]
    for name, trait in sorted(catalogue.traits.items()):
        columns.append(_column(trait_column(name), f"Trait ({trait.kind}). {_line(trait.header.description)}"))
    for name, segment in sorted(catalogue.segments.items()):
        columns.append(_column(segment_column(name), f"Member of the segment. {_line(segment.header.description)}"))
    columns.append(_column("due_at", "The next time at which time alone may change the row (UTC); it may be early"))
    columns.append(_column("is_simulated", "True when nothing real stands behind the profile"))
    grain = "One row per profile, with every defined trait and whether it is a member of each segment."
    return {
        "name": PROFILES,
        "description": grain,
        "data_tests": ["members_are_profiles"],
        "columns": [columns[0] | {"data_tests": ["key"]}, *columns[1:]],
    }


def _column(name: str, description: str) -> Properties:
    return {"name": name, "description": description}


def _line(text: str) -> str:
    return " ".join(text.split())


def _segment(header: SegmentHeader) -> Properties:
    # No tests of their own: a filter of PROFILES adds no row, and fct_segment_memberships judges all of them at once.
    return {
        "name": f"seg_{header.name}",
        "description": f"One row per profile in {header.name}. {_line(header.description)}",
        "config": {"meta": {"segment": header.name, "owner": header.owner}},
        "columns": [
            _column("profile_id", "Member of the segment"),
            _column("is_simulated", "True when the profile has no real event or record"),
            _column("as_of", "Time the membership describes (UTC)"),
        ],
    }
