"""Going through what a definition says: every shape in it with its place, and the names that it reads."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.core.explained import Place
from jobs.segments.language.events import PERCENT, Matched
from jobs.segments.language.rules import SegmentRule, TraitRule
from jobs.segments.language.traits import Quotient, Ranked
from jobs.segments.language.triggers import Enters, Leaves
from jobs.segments.language.units import Shape


@dataclass(frozen=True)
class Reference:
    """A trait (or attribute) or a segment that is read, at its place; `is_ranked`: only who is in a percentile of it."""

    place: Place
    name: str
    is_segment: bool
    is_ranked: bool = False


def shapes(root: Shape, place: Place = ()) -> Iterator[tuple[Place, Shape]]:
    """The shape and all in it, each with its place as written, from the outside in."""
    yield place, root
    for name, info in type(root).model_fields.items():
        key = info.alias or name
        value = getattr(root, name)
        if isinstance(value, Shape):
            yield from shapes(value, (*place, key))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, Shape):
                    yield from shapes(item, (*place, key, index))


def references(root: Shape, place: Place = ()) -> Iterator[Reference]:
    """The traits and segments that it names, in the order written."""
    for at, shape in shapes(root, place):
        if isinstance(shape, TraitRule):
            is_ranked = shape.operator in PERCENT
            yield Reference((*at, "trait"), shape.trait, is_segment=False, is_ranked=is_ranked)
        elif isinstance(shape, SegmentRule | Ranked):
            yield Reference((*at, "segment"), shape.segment, is_segment=True)
        elif isinstance(shape, Enters):
            yield Reference((*at, "enters"), shape.enters, is_segment=True)
        elif isinstance(shape, Leaves):
            yield Reference((*at, "leaves"), shape.leaves, is_segment=True)
        elif isinstance(shape, Quotient):
            yield Reference((*at, "of"), shape.of, is_segment=False)
            yield Reference((*at, "to"), shape.to, is_segment=False)


def event_names(*roots: Shape) -> list[str]:
    """The events that they look at, sorted."""
    found = [shape for root in roots for _, shape in shapes(root)]
    return sorted({name for shape in found if isinstance(shape, Matched) for name in shape.names})
