"""What a set of rules needs of events, each thing once, under a name that says what it is."""

import hashlib
import re
from dataclasses import dataclass, field
from fractions import Fraction

from sqlglot import exp

from jobs.segments.compile.measures import Aggregated, aggregated, read_by
from jobs.segments.compile.nodes import column
from jobs.segments.compile.properties import Match, Property, matching
from jobs.segments.compile.sequences import Chained, chained, same_of, unfollowed
from jobs.segments.language.events import Matched, Measure
from jobs.segments.language.rules import FollowRule, SequenceRule
from jobs.segments.language.units import Shape

LONGEST_NAME = 40


@dataclass(frozen=True, order=True)
class Percentile:
    """The profiles in the top (or bottom) share of a trait, taken at the start of a day in `zone`."""

    trait: str
    zone: str
    percent: str
    is_top: bool

    @property
    def key(self) -> str:
        """Its name in the relation `ranked`."""
        return f"{'top' if self.is_top else 'bottom'} {self.percent} of {self.trait} in {self.zone}"

    @property
    def column(self) -> str:
        """The column that says whether a profile is in it."""
        return named("is", self.key, self.key)

    @property
    def share(self) -> Fraction:
        """The share, exactly."""
        return Fraction(self.percent) / 100


def named(kind: str, words: str, identity: str) -> str:
    """A column name out of words, ended by a few digits of a hash of all that it stands for: the same wherever it is needed."""
    slug = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:LONGEST_NAME].strip("_")
    return f"{kind}_{slug}_{hashlib.sha256(identity.encode()).hexdigest()[:6]}"


def _identity(shape: Shape, *more: str) -> str:
    return "|".join([shape.model_dump_json(exclude_none=True, exclude_defaults=True), *more])


@dataclass
class Needs:
    """What has been asked for so far; asking twice gives the same column."""

    marks: dict[str, Match] = field(default_factory=dict)
    measures: dict[str, Aggregated] = field(default_factory=dict)
    chains: dict[str, Chained] = field(default_factory=dict)
    percentiles: set[Percentile] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    properties: set[Property] = field(default_factory=set)

    def mark(self, matched: Matched) -> exp.Expr:
        """The column that says whether a row's event is one of those meant."""
        only = Matched(event=list(matched.names), where=matched.where)
        name = named("is", " ".join(matched.names), _identity(only))
        if name not in self.marks:
            self.marks[name] = matching(only)
            self.properties |= self.marks[name].properties
        return column(name)

    def measure(self, measure: Measure, zone: str) -> exp.Expr:
        """The column of the measure's value."""
        plain = Measure.model_validate(measure.model_dump(include=set(Measure.model_fields)))
        of = plain.of or ""
        name = named(plain.aggregate.value, f"{of} {' '.join(plain.names)}", _identity(plain, zone))
        if name not in self.measures:
            self.properties |= {prop} if (prop := read_by(plain)) else set()
            self.measures[name] = aggregated(plain, self.mark(plain), zone)
        return column(name)

    def sequence(self, rule: SequenceRule) -> exp.Expr:
        """The column that says whether the sequence is there."""
        name = named("did", " then ".join(step.names[0] for step in rule.sequence), _identity(rule))
        if name not in self.chains:
            self._share(rule)
            marks = [self.mark(step) for step in rule.sequence]
            self.chains[name] = chained(rule, name, marks, self.mark(rule.without) if rule.without else None)
        return column(name)

    def unfollowed(self, rule: FollowRule) -> exp.Expr:
        """The column that says whether such an event went without a follower."""
        name = named("unfollowed", " ".join(rule.names), _identity(rule))
        if name not in self.chains:
            self._share(rule)
            self.chains[name] = unfollowed(rule, name, self.mark(rule), self.mark(rule.not_followed_by))
        return column(name)

    def percentile(self, found: Percentile) -> exp.Expr:
        """The column that says whether a profile is in it."""
        self.percentiles.add(found)
        return column(found.column)

    def attribute(self, name: str) -> exp.Expr:
        """The column of an attribute."""
        self.attributes.add(name)
        return column(name)

    @property
    def event_names(self) -> list[str]:
        """The names of all events that count for anything, sorted."""
        return sorted({name for match in self.marks.values() for name in match.names})

    def _share(self, rule: SequenceRule | FollowRule) -> None:
        self.properties |= {prop} if (prop := same_of(rule)) else set()
