"""Why a profile is, or is not, in a segment at a moment: the rule as a tree, each part with its answer, value and events.

The parts are evaluated by the same program as the segment: each is made a definition of its own for the occasion.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from jobs.core.assignment import SEPARATOR, in_share
from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.evaluate.counted import counted_events
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language import rules as shapes
from jobs.segments.language.events import Matched, Measure
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.references import SEGMENT, only
from jobs.segments.language.traits import kind_of_value
from jobs.segments.language.walk import shapes as shapes_in
from jobs.segments.language.words import in_words

NOTE = "Made for one explanation of a segment."
ASKED = "create or replace temp table asked as select ? as profile_id, cast(? as timestamp) as as_of"


@dataclass
class Reason:
    """One part of a rule: in words, whether it holds, the value compared (None: unknown, or there is none), and the latest of
    the events that it looks at, as (event_key, name, effective_at). Values stand beside comparisons only. `of`: the segment that
    it asks for."""

    words: str
    rule: shapes.AnyRule
    zone: str
    holds: bool = False
    value: Any = None
    events: list[tuple[str, str, datetime]] = field(default_factory=list)
    parts: "list[Reason]" = field(default_factory=list)
    of: Segment | None = None

    def all(self) -> "Iterator[Reason]":
        """This one and all inside it, as a reader meets them."""
        yield self
        for part in self.parts:
            yield from part.all()


def explain(connection: Any, catalogue: Catalogue, name: str, profile_id: str, as_of: datetime) -> Reason:
    """Evaluates a segment and every part of it; `connection` holds the relations but `asked`, which is made anew.

    `as_of` is UTC without zone. KeyError when there is no such segment.
    """
    catalogue = only(catalogue, {(SEGMENT, name)})
    reason = _of_segment(catalogue, catalogue.segments[name])
    connection.execute(ASKED, [profile_id, as_of])
    parts = list(reason.all())
    found = Evaluator(_extended(catalogue, parts)).evaluate(connection).to_pylist()[0]
    for place, part in enumerate(parts):
        part.holds = found[segment_column(f"explain__part_{place}")]
        part.value = found.get(trait_column(f"explain__value_{place}"))
        if isinstance(part.rule, shapes.TraitRule):
            part.value = found.get(trait_column(part.rule.trait))
        if measures := _measures(catalogue, part.rule):
            part.events = counted_events(connection, measures, _zone(catalogue, part))
    for part in parts:
        if part.of is not None:
            _judge_holdout(part, part.of, profile_id)
    return reason


def _of_segment(catalogue: Catalogue, segment: Segment) -> Reason:
    zone, header = segment.header.time_zone, segment.header
    reason = Reason(f"member of {segment.name}", shapes.SegmentRule(segment=segment.name), zone, of=segment)
    reason.parts = [_of_rule(catalogue, segment.rule, zone)]
    if header.parent:
        reason.parts.append(_of_segment(catalogue, catalogue.segments[header.parent]))
    return reason


def _of_rule(catalogue: Catalogue, rule: shapes.AnyRule, zone: str) -> Reason:
    if isinstance(rule, shapes.SegmentRule):
        return _of_segment(catalogue, catalogue.segments[rule.segment])
    reason = Reason(in_words(rule), rule, zone)
    reason.parts = [_of_rule(catalogue, part, zone) for part in shapes.parts_of(rule)]
    return reason


def _extended(catalogue: Catalogue, parts: list[Reason]) -> Catalogue:
    """The catalogue with each part as a segment, and each measure compared as a trait."""
    segments, traits = dict(catalogue.segments), dict(catalogue.traits)
    for place, part in enumerate(parts):
        header = SegmentHeader(
            name=f"explain__part_{place}", description=NOTE, rule={"everyone": True}, time_zone=part.zone
        )
        segments[header.name] = Segment(header, part.rule)
        if isinstance(part.rule, shapes.EventRule):
            value = Measure.model_validate(part.rule.model_dump(include=set(Measure.model_fields)))
            made = TraitHeader(
                name=f"explain__value_{place}", description=NOTE, value={"event": "-"}, time_zone=part.zone
            )
            traits[made.name] = Trait(made, value, kind_of_value(value))
    return Catalogue(traits, segments, catalogue.attributes)


def _measures(catalogue: Catalogue, rule: shapes.AnyRule) -> list[Measure]:
    """What the rule counts; of a rule over several events all that it looks at, whatever their order and time."""
    if isinstance(rule, shapes.EventRule):
        return [rule]
    if isinstance(rule, shapes.SequenceRule | shapes.FollowRule):
        looked_at = [shape for _, shape in shapes_in(rule) if isinstance(shape, Matched)]
        return [Measure(event=list(shape.names), where=shape.where) for shape in looked_at]
    if isinstance(rule, shapes.TraitRule) and rule.trait in catalogue.traits:
        value = catalogue.traits[rule.trait].value
        return [value] if isinstance(value, Measure) else []
    return []


def _zone(catalogue: Catalogue, part: Reason) -> str:
    """A trait counts by the clock of its own definition."""
    if isinstance(part.rule, shapes.TraitRule) and part.rule.trait in catalogue.traits:
        return catalogue.traits[part.rule.trait].header.time_zone
    return part.zone


def _judge_holdout(reason: Reason, segment: Segment, profile_id: str) -> None:
    share = segment.header.holdout
    if share is not None:
        held = in_share(f"holdout{SEPARATOR}{segment.name}", profile_id, share)
        part = Reason(
            f"not among the {share:.0%} held out", shapes.Everyone(everyone=True), reason.zone, holds=not held
        )
        reason.parts.append(part)
