"""A set of definitions with their types, in an order in which each stands after what it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.segments.language.rules import AnyRule
from jobs.segments.language.traits import AnyValue, Kind


@dataclass(frozen=True)
class Trait:
    """One defined trait and what its value is."""

    header: TraitHeader
    value: AnyValue
    kind: Kind

    @property
    def name(self) -> str:
        """Its name, unique among traits and attributes."""
        return self.header.name

    @property
    def shape(self) -> AnyValue:
        """What it is made of."""
        return self.value


@dataclass(frozen=True)
class Segment:
    """One defined segment. Its members fulfil the rule, are members of `parent`, and are not held out."""

    header: SegmentHeader
    rule: AnyRule

    @property
    def name(self) -> str:
        """Its name, unique among segments."""
        return self.header.name

    @property
    def shape(self) -> AnyRule:
        """What it is made of, its parent aside."""
        return self.rule


@dataclass(frozen=True)
class Catalogue:
    """Traits and segments by name, each after what it reads; attributes: columns of a profile that no definition makes.

    Attributes are those of `dim_profiles`, as of the last build: they change with a build, not with an event.
    """

    traits: Mapping[str, Trait] = field(default_factory=dict)
    segments: Mapping[str, Segment] = field(default_factory=dict)
    attributes: Mapping[str, Kind] = field(default_factory=dict)

    def kind(self, trait: str) -> Kind:
        """What a trait or attribute is; KeyError when there is none of the name."""
        return self.traits[trait].kind if trait in self.traits else self.attributes[trait]
