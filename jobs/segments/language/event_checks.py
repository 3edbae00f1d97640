"""Events and their properties held against the contracts: names that exist, nothing personal, types that fit."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from expectations.contracts import FieldContract, PiiClass
from jobs.core.command import hint
from jobs.core.explained import Found, Place
from jobs.segments.language.compared import property_misfits
from jobs.segments.language.events import Aggregate, Events, Matched, Measure
from jobs.segments.language.rules import FollowRule, SequenceRule
from jobs.segments.language.text import refused
from jobs.segments.language.triggers import Absence
from jobs.segments.language.units import Shape, instant
from jobs.segments.language.vocabulary import Properties, Vocabulary

NUMBERS = ("number", "integer")
LISTS = ("array", "object")


@dataclass(frozen=True)
class Remark(Found):
    """Something that is allowed and may still be a mistake."""


def event_findings(shape: Shape, vocabulary: Vocabulary, zone: str) -> Iterator[Found]:
    """What is wrong, or only remarkable, with one shape, at places below it; shapes inside it are left to their own turn."""
    if isinstance(shape, Events):
        yield from _window(shape, zone)
    if isinstance(shape, SequenceRule) and shape.same:
        yield from _named(shape.same, ("same",), shape.sequence, vocabulary, need="text")
    if isinstance(shape, Matched):
        yield from _names(shape, vocabulary)
        yield from _properties(shape, vocabulary)


def _window(shape: Events, zone: str) -> Iterator[Found]:
    if shape.since and shape.until and instant(shape.since, zone) >= instant(shape.until, zone):
        yield Found(("until",), "until is not after since: no event is between them")


def _names(shape: Matched, vocabulary: Vocabulary) -> Iterator[Found]:
    given = [shape.event] if isinstance(shape.event, str) else shape.event
    for index, name in enumerate(given):
        place: Place = ("event",) if isinstance(shape.event, str) else ("event", index)
        if text := refused(name):
            yield Found(place, text)
        elif vocabulary.events is not None and name not in vocabulary.events:
            text = f"no contract has an event {name!r}.{hint(name, list(vocabulary.events))}"
            yield Remark(place, text) if vocabulary.takes_unknown else Found(place, text)


def _properties(shape: Matched, vocabulary: Vocabulary) -> Iterator[Found]:
    for index, test in enumerate(shape.where):
        place: Place = ("where", index)
        yield from _named(test.property_, (*place, "property"), [shape], vocabulary)
        for found in property_misfits(test, _fields([shape], vocabulary, test.property_)):
            yield Found((*place, *found.path), found.text)
    if isinstance(shape, FollowRule | Absence) and shape.same:
        yield from _named(shape.same, ("same",), [shape, shape.not_followed_by], vocabulary, need="text")
    if isinstance(shape, Measure) and shape.of and shape.aggregate is not Aggregate.TIME:
        is_number = shape.aggregate in (Aggregate.SUM, Aggregate.MIN, Aggregate.MAX)
        need = "number" if is_number else "text"
        yield from _named(shape.of, (shape.aggregate.value,), [shape], vocabulary, need=need)


def _known(shapes: Sequence[Matched], vocabulary: Vocabulary) -> dict[str, Properties] | None:
    """The events with their properties; None when one of them is not under contract, and may have any."""
    names = {name for shape in shapes for name in shape.names}
    if vocabulary.events is None or not names <= set(vocabulary.events):
        return None
    return {name: vocabulary.events[name] for name in sorted(names)}


def _fields(shapes: Sequence[Matched], vocabulary: Vocabulary, name: str) -> list[FieldContract] | None:
    """What contracts say of the property; None when they say nothing, or its name is wrong already."""
    known = _known(shapes, vocabulary) or {}
    found = [properties[name] for properties in known.values() if name in properties]
    return [field for field in found if field.type not in LISTS] or None


def _named(
    name: str, place: Place, shapes: Sequence[Matched], vocabulary: Vocabulary, *, need: str = ""
) -> Iterator[Found]:
    known = _known(shapes, vocabulary)
    if known is None:
        return
    top, _, below = name.partition(".")
    fields = {event: properties[top] for event, properties in known.items() if top in properties}
    if not fields:
        names = sorted({key for properties in known.values() for key in properties})
        yield Found(place, f"{_have(known)} no property {top!r}.{hint(top, names)}")
        return
    if text := _unfit(name, below, list(fields.values()), need):
        yield Found(place, text)
    elif missing := sorted(set(known) - set(fields)):
        yield Remark(place, f"{_have(missing)} no property {top!r}: unknown there")


def _unfit(name: str, below: str, fields: list[FieldContract], need: str) -> str | None:
    types = {field.type for field in fields}
    if any(field.pii is not PiiClass.NONE for field in fields):
        return f"{name} is personal: it is a token or dropped before rules are asked"
    if below:  # what an object holds is under no contract
        wrong = f"{name}: {name.partition('.')[0]} holds no properties; a path goes through objects"
        return None if "object" in types else wrong
    if types <= set(LISTS):
        return f"{name} is a list or an object, and has no value of its own"
    if need == "number" and not types & set(NUMBERS):
        return f"{name} is no number: count different ones with distinct, or show one with first_value or last_value"
    if need == "text" and types <= {"number", *LISTS}:
        return f"{name} is a number with decimals, which has no text of its own: use sum, min or max"
    return None


def _have(names: Iterable[str]) -> str:
    known = list(names)
    return f"{', '.join(known)} {'has' if len(known) == 1 else 'have'}"
