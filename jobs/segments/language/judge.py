"""All definitions held against each other and against what they may speak of; every problem is found, not only the first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.core.explained import Found
from jobs.segments.language.checks import findings
from jobs.segments.language.drafts import Draft, Names, draft_of
from jobs.segments.language.event_checks import Remark
from jobs.segments.language.events import PERCENT
from jobs.segments.language.model import Catalogue, Segment, Trait
from jobs.segments.language.order import order
from jobs.segments.language.rules import TraitRule
from jobs.segments.language.traits import Kind, kind_of_value
from jobs.segments.language.verdict import Verdict, both, floor_of, verdict
from jobs.segments.language.vocabulary import Vocabulary

Noted = tuple[Draft, Found]


@dataclass(frozen=True)
class Finding:
    """A problem or remark about one definition."""

    is_segment: bool
    name: str
    found: Found


@dataclass(frozen=True)
class Judged:
    """The catalogue of all that is right, with what is wrong and what is only remarkable."""

    catalogue: Catalogue
    findings: list[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """What has to be mended."""
        return [one for one in self.findings if not isinstance(one.found, Remark)]

    @property
    def remarks(self) -> list[Finding]:
        """What may be meant so."""
        return [one for one in self.findings if isinstance(one.found, Remark)]


def judge(
    traits: Mapping[str, TraitHeader],
    segments: Mapping[str, SegmentHeader],
    attributes: Mapping[str, Kind],
    vocabulary: Vocabulary,
    *,
    broken: frozenset[str] = frozenset(),
) -> Judged:
    """`broken`: names of definitions that cannot be read; who refers to them is not to blame."""
    names = Names(
        {name: draft_of(header) for name, header in traits.items()},
        {name: draft_of(header) for name, header in segments.items()},
        attributes,
        vocabulary,
        broken,
    )
    drafts = {**names.segments, **names.traits}
    every = (*names.traits.values(), *names.segments.values())
    noted: list[Noted] = [(draft, found) for draft in every for found in findings(draft, names)]
    reads = {
        name: {reference.name for reference in draft.refers if names.defines(reference)}
        for name, draft in drafts.items()
    }
    ordered, circles = order(reads)
    noted += [*_circles(circles, drafts), *_percentiles(ordered, drafts, reads), *_verdicts(ordered, names)]
    told = [Finding(draft.is_segment, draft.header.name, found) for draft, found in noted]
    return Judged(_catalogue(ordered, names), told)


def _circles(circles: list[list[str]], drafts: Mapping[str, Draft]) -> Iterator[Noted]:
    for circle in circles:
        draft = drafts[circle[0]]
        place = next(reference.place for reference in draft.refers if reference.name == circle[1])
        yield draft, Found(place, f"a circle: {' → '.join(circle)}")


def _percentiles(ordered: list[str], drafts: Mapping[str, Draft], reads: Mapping[str, set[str]]) -> Iterator[Noted]:
    """A percentile of what depends on a percentile would need an order of days and ranks that nobody could follow."""
    ranked: set[str] = set()  # what depends on a percentile
    for name in ordered:
        draft = drafts[name]
        if reads[name] & ranked:
            ranked.add(name)
        for place, shape in draft.parts():
            if not isinstance(shape, TraitRule) or shape.operator not in PERCENT:
                continue
            ranked.add(name)
            if shape.trait in reads[name] & ranked:
                text = f"trait {shape.trait} depends on a percentile itself, and no percentile of that is taken"
                yield draft, Found((*place, str(shape.operator)), text)


def _verdicts(ordered: list[str], names: Names) -> Iterator[Noted]:
    """Segments that hold for everybody without saying so, and those that hold for nobody."""
    promised = {name: names.vocabulary.floor(name) for name in names.attributes}
    counted = {name: floor_of(draft.shape) for name, draft in names.traits.items()}
    floors = {name: floor for name, floor in {**promised, **counted}.items() if floor is not None}
    known: dict[str, Verdict] = {}
    for name in ordered:
        draft = names.segments.get(name)
        if draft is None or draft.shape is None or not isinstance(draft.header, SegmentHeader):
            continue
        header = draft.header
        found = verdict(draft.shape, known, floors)
        if header.parent:
            found = both(found, known.get(header.parent, Verdict.SOME))
        if found is Verdict.ALL and header.holdout:
            found = Verdict.SOME
        known[name] = found
        if found is Verdict.NONE:
            yield draft, Remark(("rule",), "holds for nobody")
        if found is Verdict.ALL and not header.allow_all:
            yield draft, Found(("rule",), "holds for every profile: narrow it, or say allow_all: true")


def _catalogue(ordered: list[str], names: Names) -> Catalogue:
    traits, segments = {}, {}
    for name in ordered:
        draft = names.traits.get(name)
        if draft and draft.shape and isinstance(draft.header, TraitHeader):
            traits[name] = Trait(draft.header, draft.shape, kind_of_value(draft.shape))
        draft = names.segments.get(name)
        if draft and draft.shape and isinstance(draft.header, SegmentHeader):
            segments[name] = Segment(draft.header, draft.shape)
    return Catalogue(traits, segments, names.attributes)
