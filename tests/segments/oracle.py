"""What a definition means, by brute force: one profile at one instant, in plain Python and without SQL.

It is written from what the definitions promise (`jobs/segments/language`), so that it and the compiler are two readings of one
text. It tries every chain of events and evaluates everybody for a percentile; what it remembers is for speed alone.
Instants are UTC without a zone, numbers are Decimals with six decimals, None is unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil, trunc
from typing import Any

from jobs.core.assignment import SEPARATOR, in_share, number
from jobs.segments.language.events import Aggregate, Matched, Measure, Operator, PropertyTest
from jobs.segments.language.model import Catalogue
from jobs.segments.language.rules import (
    AllOf,
    AnyOf,
    AnyRule,
    EventRule,
    Everyone,
    FollowRule,
    NoneOf,
    Not,
    SegmentRule,
    SequenceRule,
    TraitRule,
)
from jobs.segments.language.rules import (
    kind_of as rule_kind,
)
from jobs.segments.language.traits import MADE, AnyValue, Choose, PointsEach, PointsWhen, Priority, Ratio, Score
from jobs.segments.language.units import Unit
from segments import chains, values
from segments.calendars import start
from segments.comparing import Clock, compare, in_window, kind_of, window_name
from segments.coverage import options
from segments.events import Event

PERCENTS = (Operator.TOP_PERCENT, Operator.BOTTOM_PERCENT)


@dataclass(frozen=True)
class World:
    """Definitions, what happened, and who exists: the profiles that have attributes, of which percentiles are taken."""

    catalogue: Catalogue
    history: tuple[Event, ...]
    attributes: Mapping[str, Mapping[str, Any]]


def evaluate(world: World, profile_id: str, moment: datetime) -> dict[str, Any]:
    """Trait or segment → value of the profile at the instant; segments are True or False."""
    return Oracle(world).answers(profile_id, moment)


@dataclass
class Oracle:
    """Evaluates one world; `seen` collects (what was asked, what the answer was) over all that it evaluates."""

    world: World
    seen: set[tuple[str, bool]] = field(default_factory=set)
    views: dict[tuple[str, datetime, datetime], "View"] = field(default_factory=dict)
    matches: dict[tuple[int, str], bool] = field(default_factory=dict)

    def answers(self, profile_id: str, moment: datetime, *, known_at: datetime | None = None) -> dict[str, Any]:
        """Trait or segment → value of the profile at the instant; by what had been received at `known_at`, if that is earlier."""
        view = self.view(profile_id, moment, known_at or moment)
        traits = {name: view.trait(name) for name in self.world.catalogue.traits}
        return traits | {name: view.member(name) for name in self.world.catalogue.segments}

    def view(self, profile_id: str, moment: datetime, known_at: datetime) -> "View":
        """The profile at the instant, by what was received by both."""
        key = (profile_id, moment, min(moment, known_at))
        if key not in self.views:
            self.views[key] = View(self, *key)
        return self.views[key]

    def matched(self, shape: Matched, event: Event) -> bool:
        """Whether an event has one of the names and passes every test of its properties."""
        key = (id(shape), event.event_key)
        if key not in self.matches:
            passes = [self._passes(test, event) for test in shape.where]
            self.matches[key] = event.name in shape.names and all(passes)
        return self.matches[key]

    def _passes(self, test: PropertyTest, event: Event) -> bool:
        if test.operator is Operator.IS_NULL:
            return self.see("property is_null", values.given(event.properties, test.property_) is not test.is_null)
        kind = kind_of(test.values[0])
        read = values.number if kind == "number" else values.text
        held = compare(read(event.properties, test.property_), test, Clock(event.received_at, "UTC"))
        return self.see(f"property {kind} {test.operator}", held)

    def see(self, what: str, answer: bool) -> bool:
        """Remembers an answer and passes it on."""
        self.seen.add((what, answer))
        return answer


@dataclass
class View:
    """One profile at one instant; an event counts when it was received by `known_at`."""

    oracle: Oracle
    profile_id: str
    now: datetime
    known_at: datetime
    traits: dict[str, Any] = field(default_factory=dict)
    members: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def events(self) -> list[Event]:
        """What is known, in order."""
        mine = [event for event in self.oracle.world.history if event.profile_id == self.profile_id]
        known = [event for event in mine if event.received_at <= self.known_at]
        return sorted(known, key=lambda event: (event.effective_at, event.receive_position, event.event_key))

    def trait(self, name: str) -> Any:
        """The value of a trait or attribute; None when it is unknown."""
        if name not in self.oracle.world.catalogue.traits:
            return self.oracle.world.attributes.get(self.profile_id, {}).get(name)
        if name not in self.traits:
            trait = self.oracle.world.catalogue.traits[name]
            self.traits[name] = self._value(name, trait.value, trait.header.time_zone)
        return self.traits[name]

    def member(self, name: str) -> bool:
        """Whether the profile fulfils the rule of a segment, is a member of its parent, and is not held out."""
        if name not in self.members:
            segment = self.oracle.world.catalogue.segments[name]
            header = segment.header
            inside = self.holds(segment.rule, header.time_zone)
            if header.parent is not None:
                inside = self.oracle.see("parent", self.member(header.parent)) and inside
            if header.holdout is not None:
                held_out = in_share(f"holdout{SEPARATOR}{name}", self.profile_id, header.holdout)
                inside = not self.oracle.see("holdout", held_out) and inside
            self.members[name] = inside
        return self.members[name]

    def holds(self, rule: AnyRule, zone: str) -> bool:
        """Whether a rule holds, as a definition of the time zone writes it."""
        return self.oracle.see(f"rule {rule_kind(rule)}", self._holds(rule, zone))

    def _holds(self, rule: AnyRule, zone: str) -> bool:
        match rule:
            case AllOf() | AnyOf() | NoneOf() | Not():
                return self._joined(rule, zone)
            case TraitRule():
                return self._trait_rule(rule, zone)
            case EventRule():
                return self._event_rule(rule, zone)
            case SequenceRule():
                return self._with_options(rule, chains.completed(rule, self.now, self._matching))
            case FollowRule():
                return self._with_options(rule, chains.not_followed(rule, self.now, self._matching))
            case SegmentRule():
                return self.member(rule.segment)
            case Everyone():
                return True

    def _with_options(self, rule: SequenceRule | FollowRule, answer: bool) -> bool:
        kind = str(rule_kind(rule))
        for name in options(kind):
            if getattr(rule, name) is not None:
                self.oracle.see(f"{kind} with {name}", answer)
        return answer

    def _joined(self, rule: AllOf | AnyOf | NoneOf | Not, zone: str) -> bool:
        match rule:
            case AllOf():
                parts = [self.holds(part, zone) for part in rule.all_of]
                return all(parts)
            case AnyOf():
                parts = [self.holds(part, zone) for part in rule.any_of]
                return any(parts)
            case NoneOf():
                parts = [self.holds(part, zone) for part in rule.none_of]
                return not any(parts)
            case Not():
                return not self.holds(rule.negated, zone)

    def _trait_rule(self, rule: TraitRule, zone: str) -> bool:
        if rule.operator in PERCENTS:
            return self.oracle.see(f"trait {rule.operator}", self._in_percentile(rule, zone))
        kind = self.oracle.world.catalogue.kind(rule.trait)
        held = compare(self.trait(rule.trait), rule, Clock(self.now, zone))
        return self.oracle.see(f"trait {kind} {rule.operator}", held)

    def _in_percentile(self, rule: TraitRule, zone: str) -> bool:
        midnight = start(self.now, Unit.DAY, zone)
        mine = self.oracle.view(self.profile_id, midnight, self.known_at).trait(rule.trait)
        views = [self.oracle.view(one, midnight, self.known_at) for one in self.oracle.world.attributes]
        everybody = [view.trait(rule.trait) for view in views]
        counted = [value for value in everybody if value is not None and value != 0]
        places = ceil(Fraction(len(counted)) * Fraction(str(rule.operand)) / 100)
        better = [v for v in counted if mine and (v > mine if rule.operator is Operator.TOP_PERCENT else v < mine)]
        return mine is not None and mine != 0 and len(better) < places

    def _event_rule(self, rule: EventRule, zone: str) -> bool:
        value = self._measure(rule, zone)
        held = bool(value > 0) if rule.operator is None else compare(value, rule, Clock(self.now, zone))
        self.oracle.see(f"event {MADE[rule.aggregate]} {rule.operator or 'any'}", held)
        return self.oracle.see(f"event {rule.operator or 'any'} in {window_name(rule)}", held)

    def _matching(self, shape: Matched) -> list[Event]:
        return [event for event in self.events if self.oracle.matched(shape, event)]

    def _measure(self, measure: Measure, zone: str) -> Any:
        """The value that a measure makes of the events."""
        clock, window = Clock(self.now, zone), window_name(measure)
        found = [
            event
            for event in self._matching(measure)
            if self.oracle.see(f"window {window}", in_window(event.effective_at, measure, clock))
        ]
        value = self._aggregate(measure, found)
        self.oracle.see(f"aggregate {measure.aggregate} in {window}", bool(value))
        return value

    def _aggregate(self, measure: Measure, events: list[Event]) -> Any:
        path = measure.of or ""
        if measure.aggregate is Aggregate.COUNT:
            return len(events)
        if measure.aggregate is Aggregate.TIME:
            moments = [event.effective_at for event in events]
            return (moments[0] if path == "first" else moments[-1]) if moments else None
        if measure.aggregate in (Aggregate.SUM, Aggregate.MIN, Aggregate.MAX):
            read = [values.number(event.properties, path) for event in events]
            known = [figure for figure in read if figure is not None]
            if measure.aggregate is Aggregate.SUM:
                return sum(known, Decimal(0))
            return (min(known) if measure.aggregate is Aggregate.MIN else max(known)) if known else None
        spelled = [values.text(event.properties, path) for event in events]
        texts = [text for text in spelled if text is not None]
        if measure.aggregate is Aggregate.DISTINCT:
            return len(set(texts))
        return (texts[0] if measure.aggregate is Aggregate.FIRST_VALUE else texts[-1]) if texts else None

    def _value(self, name: str, value: AnyValue, zone: str) -> Any:
        match value:
            case Measure():
                return self._measure(value, zone)
            case Score():
                return sum(self._points(part, zone) for part in value.score)
            case Choose():
                held = [choice.then for choice in value.choose if self.holds(choice.when, zone)]
                chosen = held[0] if held else value.otherwise
                self.oracle.see("value choose", bool(held))
                return chosen
            case Priority():
                return self._winner(name, value)
            case Ratio():
                return self._ratio(value)

    def _points(self, part: PointsWhen | PointsEach, zone: str) -> int:
        if isinstance(part, PointsWhen):
            return part.points if self.oracle.see("value points when", self.holds(part.when, zone)) else 0
        points = int(self._measure(part.each, zone)) * part.points
        self.oracle.see("value points each", points > part.at_most)
        return min(points, part.at_most)

    def _winner(self, name: str, value: Priority) -> str | None:
        mine = [choice for choice in value.priority if self.member(choice.segment)]
        self.oracle.see(f"value priority {value.ties}", bool(mine))
        if not mine:
            return value.otherwise
        rank = min(choice.rank for choice in mine)
        tied = [choice.segment for choice in mine if choice.rank == rank]
        self.oracle.see(f"ties {value.ties}", len(tied) > 1)
        if value.ties == "listed":
            return tied[0]
        return min(tied, key=lambda segment: number(f"{name}{SEPARATOR}{segment}", self.profile_id))

    def _ratio(self, value: Ratio) -> Decimal | None:
        of, to = self.trait(value.ratio.of), self.trait(value.ratio.to)
        known = of is not None and to is not None and to != 0 and abs(of) < abs(to) * 10**12
        self.oracle.see("value ratio", known)
        return Decimal(trunc(Fraction(of) / Fraction(to) * 10**6)).scaleb(-6) if known else None
