"""What a rule or a trait reads of other definitions, and the order that follows from it."""

from collections.abc import Iterator

from jobs.segments.language import rules as shapes
from jobs.segments.language.events import Measure, Operator
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.traits import AnyValue, Choose, PointsWhen, Priority, Ratio, Score

Reference = tuple[str, str]
TRAIT, SEGMENT = "trait", "segment"
PERCENTS = (Operator.TOP_PERCENT, Operator.BOTTOM_PERCENT)


def leaves(rule: shapes.AnyRule) -> Iterator[shapes.AnyRule]:
    """The rules inside a rule that have none inside themselves, in the order written."""
    parts = shapes.parts_of(rule)
    if not parts:
        yield rule
    for part in parts:
        yield from leaves(part)


def rules_of(value: AnyValue) -> Iterator[shapes.AnyRule]:
    """The rules that a trait's value is made of."""
    if isinstance(value, Score):
        yield from (part.when for part in value.score if isinstance(part, PointsWhen))
    elif isinstance(value, Choose):
        yield from (choice.when for choice in value.choose)


def measures_of(value: AnyValue) -> Iterator[Measure]:
    """The measures that a trait's value is made of, those inside its rules aside."""
    if isinstance(value, Measure):
        yield value
    elif isinstance(value, Score):
        yield from (part.each for part in value.score if not isinstance(part, PointsWhen))


def read_by_rule(rule: shapes.AnyRule, *, with_percentiles: bool = True) -> set[Reference]:
    """The traits (attributes too) and segments that a rule names; those of which it takes a percentile only when asked for."""
    found: set[Reference] = set()
    for leaf in leaves(rule):
        if isinstance(leaf, shapes.SegmentRule):
            found.add((SEGMENT, leaf.segment))
        elif isinstance(leaf, shapes.TraitRule) and (with_percentiles or leaf.operator not in PERCENTS):
            found.add((TRAIT, leaf.trait))
    return found


def read_by(definition: Trait | Segment, *, with_percentiles: bool = True) -> set[Reference]:
    """The traits (attributes too) and segments that a definition names."""
    if isinstance(definition, Segment):
        parent = definition.header.parent
        named = read_by_rule(definition.rule, with_percentiles=with_percentiles)
        return named | ({(SEGMENT, parent)} if parent else set())
    value = definition.value
    if isinstance(value, Priority):
        return {(SEGMENT, choice.segment) for choice in value.priority}
    if isinstance(value, Ratio):
        return {(TRAIT, value.ratio.of), (TRAIT, value.ratio.to)}
    return set().union(*(read_by_rule(rule, with_percentiles=with_percentiles) for rule in rules_of(value)))


def levels(catalogue: Catalogue) -> list[list[Reference]]:
    """The definitions in steps: each reads those of earlier steps only. A percentile is taken before all steps.

    The catalogue is resolved: no name is missing and nothing reads itself.
    """
    waiting: dict[Reference, set[Reference]] = {}
    for kind, definitions in ((TRAIT, catalogue.traits), (SEGMENT, catalogue.segments)):
        for name, definition in definitions.items():
            reads = read_by(definition, with_percentiles=False)
            waiting[kind, name] = {reference for reference in reads if _is_defined(catalogue, reference)}
    steps: list[list[Reference]] = []
    while waiting:
        ready = sorted(reference for reference, reads in waiting.items() if not reads & set(waiting))
        if not ready:
            raise ValueError(f"these read each other: {sorted(waiting)}")
        steps.append(ready)
        waiting = {reference: reads for reference, reads in waiting.items() if reference not in ready}
    return steps


def only(catalogue: Catalogue, wanted: set[Reference]) -> Catalogue:
    """The part of a catalogue that the wanted definitions need, in its order."""
    needed, open_ = set(wanted), list(wanted)
    while open_:
        kind, name = open_.pop()
        definition = (catalogue.traits if kind == TRAIT else catalogue.segments)[name]
        fresh = {reference for reference in read_by(definition) if _is_defined(catalogue, reference)} - needed
        needed |= fresh
        open_ += fresh
    return Catalogue(
        {name: trait for name, trait in catalogue.traits.items() if (TRAIT, name) in needed},
        {name: segment for name, segment in catalogue.segments.items() if (SEGMENT, name) in needed},
        catalogue.attributes,
    )


def _is_defined(catalogue: Catalogue, reference: Reference) -> bool:
    kind, name = reference
    return name in (catalogue.traits if kind == TRAIT else catalogue.segments)
