"""What each definition reads, and when its answer can change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jobs.segments.language.events import AGED, PERCENT, Matched
from jobs.segments.language.journeys import Branch, Journey
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.references import SEGMENT, TRAIT, Reference, defined, named_in, only, read_by
from jobs.segments.language.rules import TraitRule
from jobs.segments.language.triggers import Trigger
from jobs.segments.language.units import Shape
from jobs.segments.language.walk import event_names, shapes

KINDS = (TRAIT, SEGMENT, "trigger", "journey")


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
    triggers: tuple[str, ...] = ()

    @property
    def everything(self) -> str:
        """All of it in one text."""
        names = ("triggers", "events", "attributes", "traits", "segments")
        named = {name: getattr(self, name) for name in names}
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in named.items() if names) or "nothing"


def all_reads(
    catalogue: Catalogue, triggers: Mapping[str, Trigger] | None = None, journeys: Mapping[str, Journey] | None = None
) -> list[Reads]:
    """Of each trait, then of each segment, trigger and journey, by name."""
    items: list[Trait | Segment] = [*catalogue.traits.values(), *catalogue.segments.values()]
    found = [_of_item(item, catalogue) for item in items]
    found += [_reads("trigger", name, _parts(one), catalogue) for name, one in (triggers or {}).items()]
    found += [_of_journey(journey, triggers or {}, catalogue) for journey in (journeys or {}).values()]
    return sorted(found, key=lambda one: (KINDS.index(one.kind), one.name))


def _of_item(item: Trait | Segment, catalogue: Catalogue) -> Reads:
    kind = SEGMENT if isinstance(item, Segment) else TRAIT
    return _reads(kind, item.name, [item.shape], catalogue, named=read_by(item))


def _of_journey(journey: Journey, triggers: Mapping[str, Trigger], catalogue: Catalogue) -> Reads:
    ways = [way.if_ for step in journey.steps.values() if isinstance(step, Branch) for way in step.branch]
    parts = [*ways, *(part for part in (journey.exit_on, journey.exit_when) if part is not None)]
    start = triggers[journey.start]
    return _reads("journey", journey.name, parts, catalogue, behind=_parts(start), triggers=(journey.start,))


def _parts(trigger: Trigger) -> list[Shape]:
    return [trigger.occasion, *([trigger.if_] if trigger.if_ else [])]


def _reads(
    kind: str,
    name: str,
    parts: Sequence[Shape],
    catalogue: Catalogue,
    *,
    named: set[Reference] | None = None,
    behind: Sequence[Shape] | None = None,
    triggers: tuple[str, ...] = (),
) -> Reads:
    """`named`: what it reads, where its parts do not say it all; `behind`: what else its speed hangs on."""
    named = named_in(*parts) if named is None else named
    known = defined(named, catalogue)
    return Reads(
        kind=kind,
        name=name,
        speed=_speed([*parts, *(behind or [])], named | named_in(*(behind or [])), catalogue),
        events=tuple(event_names(*parts)),
        attributes=tuple(sorted(found for of, found in named - known if of == TRAIT)),
        traits=tuple(sorted(found for of, found in known if of == TRAIT)),
        segments=tuple(sorted(found for of, found in known if of == SEGMENT)),
        triggers=triggers,
    )


def _speed(parts: Sequence[Shape], named: set[Reference], catalogue: Catalogue) -> Speed:
    upstream = only(catalogue, defined(named, catalogue))
    items: list[Trait | Segment] = [*upstream.traits.values(), *upstream.segments.values()]
    whole = [*parts, *(item.shape for item in items)]
    every = named.union(*(read_by(item) for item in items))
    if not every - defined(every, catalogue):
        return Speed.LIVE
    return Speed.BOTH if any(_moves(shape) for root in whole for _, shape in shapes(root)) else Speed.BUILD


def _moves(shape: Shape) -> bool:
    """Whether events or time alone may change its answer."""
    return isinstance(shape, Matched) or (isinstance(shape, TraitRule) and shape.operator in AGED | PERCENT)
