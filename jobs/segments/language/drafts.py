"""A definition while it is judged: its header, its typed shape if that is right, and what it refers to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from jobs.core.definitions import SegmentHeader, TraitHeader
from jobs.core.explained import Found, Place, explained
from jobs.segments.language.rules import RULE, Rule
from jobs.segments.language.traits import VALUE, Choose, Kind, Priority, TraitValue, kind_of_value
from jobs.segments.language.units import Shape
from jobs.segments.language.vocabulary import Vocabulary
from jobs.segments.language.walk import Reference, references, shapes


@dataclass(frozen=True)
class Draft:
    """One definition. `shape`: the rule or value, None when `wrong` says why not; `key`: where it stands in the file."""

    header: SegmentHeader | TraitHeader
    shape: Any
    key: str
    refers: tuple[Reference, ...]
    wrong: tuple[Found, ...]

    @property
    def is_segment(self) -> bool:
        """A segment, or a trait."""
        return isinstance(self.header, SegmentHeader)

    def parts(self) -> Iterator[tuple[Place, Shape]]:
        """The shape and all in it, each with its place in the file."""
        return shapes(self.shape, (self.key,)) if self.shape else iter(())


@dataclass(frozen=True)
class Names:
    """Everything that a definition may name. `broken`: definitions that cannot be read; nobody is to blame for naming one."""

    traits: Mapping[str, Draft]
    segments: Mapping[str, Draft]
    attributes: Mapping[str, Kind]
    vocabulary: Vocabulary
    broken: frozenset[str]

    def defines(self, reference: Reference) -> bool:
        """Whether it is to a definition, and not to an attribute or to nothing."""
        return reference.name in (self.segments if reference.is_segment else self.traits)

    def kind(self, trait: str) -> Kind | None:
        """What a trait or attribute is; None when that is not known."""
        draft = self.traits.get(trait)
        if draft is None:
            return self.attributes.get(trait)
        return kind_of_value(draft.shape) if draft.shape else None

    def texts(self, trait: str) -> tuple[str, ...]:
        """All the texts that a trait or attribute may have; empty when there is no telling."""
        draft = self.traits.get(trait)
        if draft is None:
            return self.vocabulary.texts(trait)
        texts: list[str | None] = []
        if isinstance(draft.shape, Choose):
            texts = [*(choice.then for choice in draft.shape.choose), draft.shape.otherwise]
        elif isinstance(draft.shape, Priority):
            texts = [*(ranked.segment for ranked in draft.shape.priority), draft.shape.otherwise]
        return tuple(text for text in texts if text is not None)


def draft_of(header: SegmentHeader | TraitHeader) -> Draft:
    """The draft of a header."""
    if isinstance(header, TraitHeader):
        shape, wrong = _typed(header.value, "value", VALUE, TraitValue)
        return Draft(header, shape, "value", tuple(references(shape, ("value",))) if shape else (), tuple(wrong))
    shape, wrong = _typed(header.rule, "rule", RULE, Rule)
    refers = [*references(shape, ("rule",))] if shape else []
    if header.parent:
        refers.append(Reference(("parent",), header.parent, is_segment=True))
    return Draft(header, shape, "rule", tuple(refers), tuple(wrong))


def rule_findings(content: Mapping[str, Any]) -> list[Found]:
    """What is wrong with the shape of a segment's rule, in the content of its file."""
    return _typed(content.get("rule"), "rule", RULE, Rule)[1]


def value_findings(content: Mapping[str, Any]) -> list[Found]:
    """What is wrong with the shape of a trait's value, in the content of its file."""
    return _typed(content.get("value"), "value", VALUE, TraitValue)[1]


def _typed(value: Any, key: str, adapter: TypeAdapter[Any], annotation: Any) -> tuple[Any, list[Found]]:
    if not isinstance(value, dict) or not value:
        return None, []  # the header says so
    try:
        return adapter.validate_python(value, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [Found((key, *one.path), one.text) for one in explained(error, annotation)]
