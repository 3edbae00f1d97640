"""What each definition of a catalogue reads, and when its answer can change."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from jobs.segments.language.compared import AGED, PERCENT
from jobs.segments.language.events import Matched
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.rules import TraitRule
from jobs.segments.language.units import Shape
from jobs.segments.language.walk import event_names, references, shapes


class Speed(StrEnum):
    """When an answer can change: with events and time, only with each build, or with both."""

    LIVE = "live"
    BUILD = "build"
    BOTH = "live and build"


@dataclass(frozen=True)
class Reads:
    """One definition: what it names itself, and its speed, which what it reads has a part in. All sorted."""

    kind: str
    name: str
    speed: Speed
    events: tuple[str, ...]
    attributes: tuple[str, ...]
    traits: tuple[str, ...]
    segments: tuple[str, ...]

    @property
    def everything(self) -> str:
        """All of it in one text."""
        named = {"events": self.events, "attributes": self.attributes, "traits": self.traits, "segments": self.segments}
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in named.items() if names) or "nothing"


def all_reads(catalogue: Catalogue) -> list[Reads]:
    """Of each trait, then of each segment, by name."""
    items: list[Trait | Segment] = [*catalogue.traits.values(), *catalogue.segments.values()]
    found = [_reads(item, catalogue) for item in items]
    return sorted(found, key=lambda one: (one.kind != "trait", one.name))


def _reads(item: Trait | Segment, catalogue: Catalogue) -> Reads:
    shape = _shape(item)
    named = list(references(shape))
    traits = {one.name for one in named if not one.is_segment}
    segments = {one.name for one in named if one.is_segment}
    if isinstance(item, Segment) and item.header.parent:
        segments.add(item.header.parent)
    return Reads(
        kind="segment" if isinstance(item, Segment) else "trait",
        name=item.name,
        speed=_speed(item, catalogue),
        events=tuple(event_names(shape)),
        attributes=tuple(sorted(traits - set(catalogue.traits))),
        traits=tuple(sorted(traits & set(catalogue.traits))),
        segments=tuple(sorted(segments)),
    )


def _speed(item: Trait | Segment, catalogue: Catalogue) -> Speed:
    parts = [shape for one in _upstream(item, catalogue) for _, shape in shapes(_shape(one))]
    compared = [shape for shape in parts if isinstance(shape, TraitRule)]
    moves = any(isinstance(shape, Matched) for shape in parts)
    moves = moves or any(rule.operator in AGED | PERCENT for rule in compared)
    named = {one.name for item in _upstream(item, catalogue) for one in references(_shape(item)) if not one.is_segment}
    if not named - set(catalogue.traits):
        return Speed.LIVE
    return Speed.BOTH if moves else Speed.BUILD


def _upstream(item: Trait | Segment, catalogue: Catalogue) -> Iterator[Trait | Segment]:
    """The definition and all that it reads, directly or through others; each once."""
    todo, done = [item], set[str]()
    while todo:
        one = todo.pop()
        if one.name in done:
            continue
        done.add(one.name)
        yield one
        for reference in references(_shape(one)):
            known = catalogue.segments if reference.is_segment else catalogue.traits
            todo += [known[reference.name]] if reference.name in known else []
        if isinstance(one, Segment) and one.header.parent:
            todo.append(catalogue.segments[one.header.parent])


def _shape(item: Trait | Segment) -> Shape:
    return item.rule if isinstance(item, Segment) else item.value
