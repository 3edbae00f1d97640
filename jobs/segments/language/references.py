"""What a definition reads of other definitions, and the order that follows from it."""

from collections.abc import Iterable
from graphlib import TopologicalSorter

from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.units import Shape
from jobs.segments.language.walk import references

Reference = tuple[str, str]
TRAIT, SEGMENT = "trait", "segment"


def read_by(definition: Trait | Segment, *, with_percentiles: bool = True) -> set[Reference]:
    """The traits (attributes too) and segments that a definition names.

    Those of which it only takes a percentile, which is taken before, are left out when they are not asked for.
    """
    named = named_in(definition.shape, with_percentiles=with_percentiles)
    parent = definition.header.parent if isinstance(definition, Segment) else None
    return named | ({(SEGMENT, parent)} if parent else set())


def named_in(*roots: Shape, with_percentiles: bool = True) -> set[Reference]:
    """The traits (attributes too) and segments that the shapes name."""
    found = [one for root in roots for one in references(root) if with_percentiles or not one.is_ranked]
    return {(SEGMENT if one.is_segment else TRAIT, one.name) for one in found}


def levels(catalogue: Catalogue) -> list[list[Reference]]:
    """The definitions in steps: each reads those of earlier steps only. A percentile is taken before all steps.

    The catalogue is resolved: no name is missing and nothing reads itself.
    """
    sorter: TopologicalSorter[Reference] = TopologicalSorter()
    for kind, definitions in ((TRAIT, catalogue.traits), (SEGMENT, catalogue.segments)):
        for name, definition in definitions.items():
            sorter.add((kind, name), *defined(read_by(definition, with_percentiles=False), catalogue))
    sorter.prepare()
    steps: list[list[Reference]] = []
    while sorter.is_active():
        steps.append(sorted(sorter.get_ready()))
        sorter.done(*steps[-1])
    return steps


def only(catalogue: Catalogue, wanted: Iterable[Reference]) -> Catalogue:
    """The part of a catalogue that the wanted definitions need, in its order."""
    needed, open_ = set(wanted), list(wanted)
    while open_:
        kind, name = open_.pop()
        definition = (catalogue.traits if kind == TRAIT else catalogue.segments)[name]
        fresh = defined(read_by(definition), catalogue) - needed
        needed |= fresh
        open_ += fresh
    return Catalogue(
        {name: trait for name, trait in catalogue.traits.items() if (TRAIT, name) in needed},
        {name: segment for name, segment in catalogue.segments.items() if (SEGMENT, name) in needed},
        catalogue.attributes,
    )


def defined(named: Iterable[Reference], catalogue: Catalogue) -> set[Reference]:
    """Those of the names that are definitions, and no attributes."""
    return {(kind, name) for kind, name in named if name in (catalogue.traits if kind == TRAIT else catalogue.segments)}
