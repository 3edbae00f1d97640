"""What can be said of one definition when all names are known: its name, its texts, what it refers to, what it compares."""

from collections.abc import Iterable, Iterator

from jobs.core.command import hint
from jobs.core.explained import Found, Place
from jobs.segments.language.compared import misfits
from jobs.segments.language.drafts import Draft, Names
from jobs.segments.language.event_checks import event_findings
from jobs.segments.language.events import Operator
from jobs.segments.language.rules import EventRule, TraitRule
from jobs.segments.language.text import refused
from jobs.segments.language.traits import MADE, Choice, Choose, Kind, Priority, Ratio
from jobs.segments.language.units import Shape
from jobs.segments.language.walk import Reference

DEEPEST_RULE = 12
MOST_PARTS = 500
COLUMNS = frozenset({"profile_id", "as_of", "due_at"})  # of every answer, beside traits and segments


def findings(draft: Draft, names: Names) -> Iterator[Found]:
    """Everything wrong, or only remarkable, with the definition by itself."""
    yield from draft.wrong
    yield from _name(draft, names)
    yield from _texts(draft)
    yield from _references(draft, names)
    yield from _parts(draft, names)


def _name(draft: Draft, names: Names) -> Iterator[Found]:
    name = draft.header.name
    if "__" in name:
        yield Found(("name",), "two underscores in a row are for names that c360 makes; take another name")
    if name in COLUMNS:
        yield Found(("name",), f"{name} is a column of every answer; take another name")
    if not draft.is_segment and name in names.attributes:
        yield Found(("name",), f"{name} is an attribute that every build makes; take another name")
    if draft.is_segment and name in names.traits:
        yield Found(("name",), f"a trait is named {name} too; take another name")


def _texts(draft: Draft) -> Iterator[Found]:
    """What goes into the SQL, and into the documents of the dbt project, where Jinja would run."""
    header = draft.header
    written: list[tuple[Place, str | None]] = [
        (("description",), " ".join(header.description.split())),
        (("owner",), header.owner),
    ]
    for place, shape in draft.parts():
        if isinstance(shape, Choice):
            written.append(((*place, "then"), shape.then))
        elif isinstance(shape, Choose | Priority):
            written.append(((*place, "otherwise"), shape.otherwise))
    for place, text in written:
        if wrong := refused(text or ""):
            yield Found(place, wrong)


def _references(draft: Draft, names: Names) -> Iterator[Found]:
    return unknown(draft.refers, names)


def unknown(references: Iterable[Reference], names: Names) -> Iterator[Found]:
    """The references to what nobody has defined, each with the nearest name."""
    traits, segments = {*names.traits, *names.attributes}, set(names.segments)
    for reference in references:
        known = segments if reference.is_segment else traits
        if reference.name not in known | names.broken:
            what = "segment" if reference.is_segment else "trait"
            yield Found(reference.place, f"unknown {what} {reference.name!r}.{hint(reference.name, sorted(known))}")


def _parts(draft: Draft, names: Names) -> Iterator[Found]:
    if draft.shape is None:
        return
    if (depth := _depth(draft.shape)) > DEEPEST_RULE:
        text = f"rules are nested {depth} deep, at most {DEEPEST_RULE} are taken: make segments of parts"
        yield Found((draft.key,), text)
    parts = list(draft.parts())
    if len(parts) > MOST_PARTS:
        yield Found((draft.key,), f"{len(parts)} parts, at most {MOST_PARTS} are taken: make segments of some")
    for place, shape in parts:
        yield from part_findings(place, shape, names, draft.header.time_zone)


def part_findings(place: Place, shape: Shape, names: Names, zone: str) -> Iterator[Found]:
    """What is wrong with one shape at its place: the events it asks for, what it compares."""
    for one in (*event_findings(shape, names.vocabulary, zone), *_comparison(shape, names)):
        yield type(one)((*place, *one.path), one.text)


def _comparison(shape: Shape, names: Names) -> Iterator[Found]:
    if isinstance(shape, EventRule):
        yield from misfits(shape, MADE[shape.aggregate], f"the {shape.aggregate} of these events")
    elif isinstance(shape, TraitRule) and (kind := names.kind(shape.trait)):
        if shape.operator is not Operator.IS_NULL and names.vocabulary.identifies(shape.trait):
            text = (
                f"{shape.trait} identifies a person, and a rule is about many: ask only whether it is known (is_null)"
            )
            yield Found((str(shape.operator),), text)
        else:
            yield from misfits(shape, kind, f"trait {shape.trait}", names.texts(shape.trait))
    elif isinstance(shape, Ratio):
        for key, name in (("of", shape.ratio.of), ("to", shape.ratio.to)):
            if (kind := names.kind(name)) not in (None, Kind.WHOLE, Kind.NUMBER):
                yield Found(("ratio", key), f"trait {name} is {kind}, and a ratio is made of numbers")


def _depth(shape: Shape) -> int:
    """How many shapes stand inside each other."""
    values = [getattr(shape, name) for name in type(shape).model_fields]
    listed = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return 1 + max((_depth(item) for item in listed if isinstance(item, Shape)), default=0)
