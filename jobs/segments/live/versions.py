"""Which text of a definition a membership was decided by: a hash of the definition and of all that it reads."""

import hashlib
import json

from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.references import SEGMENT, only

DIGITS = 16


def definition_versions(catalogue: Catalogue) -> dict[str, str]:
    """Segment → 16 hex digits. Descriptions and owners do not count: they change no member."""
    return {name: _version(only(catalogue, {(SEGMENT, name)})) for name in catalogue.segments}


def _version(part: Catalogue) -> str:
    read = {f"trait {name}": _trait(trait) for name, trait in part.traits.items()}
    read |= {f"segment {name}": _segment(segment) for name, segment in part.segments.items()}
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _trait(trait: Trait) -> list[object]:
    return [trait.value.model_dump(mode="json", exclude_none=True), trait.header.time_zone]


def _segment(segment: Segment) -> list[object]:
    header = segment.header
    return [segment.rule.model_dump(mode="json", exclude_none=True), header.time_zone, header.parent, header.holdout]
