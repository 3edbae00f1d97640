"""From files to a Book: triggers, journeys and the policy, each judged against the catalogue; or every problem."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.core.command import hint
from jobs.core.definition_files import DefinitionFile, Problem, read_file, read_folder
from jobs.core.definitions import SEGMENT_FOLDER, DefinitionError
from jobs.core.explained import Found, Place
from jobs.segments.language import vocabulary as words
from jobs.segments.language.checks import part_findings, unknown
from jobs.segments.language.drafts import Names, draft_of
from jobs.segments.language.event_checks import Remark
from jobs.segments.language.journeys import Journey
from jobs.segments.language.model import Catalogue
from jobs.segments.language.policy import Policy
from jobs.segments.language.traits import Kind
from jobs.segments.language.triggers import PERSON, Trigger
from jobs.segments.language.units import Shape
from jobs.segments.language.vocabulary import Vocabulary
from jobs.segments.language.walk import references, shapes
from jobs.segments.triggers.book import Book
from jobs.segments.triggers.ways import way_findings

DEFINITIONS = SEGMENT_FOLDER.parent
POLICY = "policy.yml"


@dataclass(frozen=True)
class CheckedBook:
    """What was found in the files: the book of what is right (None without a policy), problems and remarks, sorted."""

    book: Book | None
    problems: list[Problem]
    remarks: list[Problem]


def load(folder: Path, catalogue: Catalogue, *, vocabulary: Vocabulary | None = None) -> Book:
    """The triggers, journeys and policy below a folder of definitions, or a project's root.

    Raises DefinitionError with every problem of all files, a line each.
    """
    checked = check(folder, catalogue, vocabulary=vocabulary)
    if checked.problems or checked.book is None:
        raise DefinitionError.of(checked.problems or [Problem(POLICY, 1, "there are no triggers, journeys or policy")])
    return checked.book


def check(folder: Path, catalogue: Catalogue, *, vocabulary: Vocabulary | None = None) -> CheckedBook:
    """As `load`, but raises nothing."""
    folder = folder / DEFINITIONS if (folder / DEFINITIONS).is_dir() else folder
    triggers, wrong = read_folder(folder / "triggers", Trigger)
    journeys, wrong_too = read_folder(folder / "journeys", Journey)
    policy, problems = _policy(folder / POLICY)
    if not (triggers or journeys or wrong or wrong_too or (folder / POLICY).exists()):
        return CheckedBook(None, [], [])  # where nothing is sent, there is nothing to say of how
    problems += [*wrong, *wrong_too]
    judge = _Judge(_names(catalogue, vocabulary or words.of_contracts()), triggers, journeys)
    found = [*judge.triggers(policy), *judge.journeys(policy), *(judge.policy(policy) if policy else ())]
    problems += [file.problem(one.path, one.text) for file, one in found if not isinstance(one, Remark)]
    remarks = [file.problem(one.path, one.text) for file, one in found if isinstance(one, Remark)]
    book = (
        Book(
            {name: file.item for name, file in triggers.items()},
            {name: file.item for name, file in journeys.items()},
            policy.item,
        )
        if policy
        else None
    )
    return CheckedBook(book, sorted(set(problems)), sorted(set(remarks)))


def _policy(path: Path) -> tuple[DefinitionFile[Policy] | None, list[Problem]]:
    if not path.exists():
        return None, [Problem(POLICY, 1, "missing: it says who may be written to, and when; see docs/triggers.md")]
    return read_file(path, Policy)


def _names(catalogue: Catalogue, vocabulary: Vocabulary) -> Names:
    traits = {name: draft_of(trait.header) for name, trait in catalogue.traits.items()}
    segments = {name: draft_of(segment.header) for name, segment in catalogue.segments.items()}
    return Names(traits, segments, catalogue.attributes, vocabulary, frozenset())


def _zone(policy: DefinitionFile[Policy] | None) -> str:
    """In which days and dates without an offset are meant where no place is named."""
    return policy.item.default_zone if policy else "UTC"


AnyFile = DefinitionFile[Any]
Noted = tuple[AnyFile, Found]


def _purpose(
    file: DefinitionFile[Trigger] | DefinitionFile[Journey], policy: DefinitionFile[Policy] | None
) -> Iterator[Noted]:
    if policy and file.item.purpose not in policy.item.purposes:
        yield file, Found(("purpose",), f"the policy has no purpose {file.item.purpose}")


@dataclass(frozen=True)
class _Judge:
    names: Names
    trigger_files: Mapping[str, DefinitionFile[Trigger]]
    journey_files: Mapping[str, DefinitionFile[Journey]]

    def triggers(self, policy: DefinitionFile[Policy] | None) -> Iterator[Noted]:
        """What is wrong with the triggers."""
        starting = {file.item.start for file in self.journey_files.values()}
        for name, file in self.trigger_files.items():
            trigger = file.item
            zone = _zone(policy) if trigger.time_zone == PERSON else trigger.time_zone
            parts: list[tuple[Place, Shape]] = [(("occasion",), trigger.occasion)]
            parts += [(("if",), trigger.if_)] if trigger.if_ else []
            for found in self._parts(parts, zone):
                yield file, found
            yield from _purpose(file, policy)
            if not trigger.sends and name not in starting:
                yield file, Found(("sends",), "it sends nothing and no journey starts with it")

    def journeys(self, policy: DefinitionFile[Policy] | None) -> Iterator[Noted]:
        """What is wrong with the journeys."""
        for name, file in self.journey_files.items():
            journey = file.item
            if name in self.trigger_files:
                yield file, Found(("name",), f"a trigger is named {name} too; take another name")
            yield from _purpose(file, policy)
            if journey.start not in self.trigger_files:
                nearest = hint(journey.start, list(self.trigger_files))
                yield file, Found(("start",), f"unknown trigger {journey.start!r}.{nearest}")
            parts: list[tuple[Place, Shape]] = [(("steps", key), step) for key, step in journey.steps.items()]
            parts += [(("exit_on",), journey.exit_on)] if journey.exit_on else []
            parts += [(("exit_when",), journey.exit_when)] if journey.exit_when else []
            for found in (*self._parts(parts, _zone(policy)), *way_findings(journey)):
                yield file, found

    def policy(self, file: DefinitionFile[Policy]) -> Iterator[Noted]:
        """What is wrong with the policy: attributes and traits that are not there, or of another kind."""
        policy = file.item
        wanted: list[tuple[Place, str, Kind]] = [(("suppressed",), policy.suppressed, Kind.FLAG)]
        for purpose, rules in policy.purposes.items():
            wanted += [(("purposes", purpose, "consent"), rules.consent, Kind.FLAG)] if rules.consent else []
        for place, name, kind in wanted:
            if self.names.attributes.get(name) is not kind:
                flags = [key for key, found in self.names.attributes.items() if found is kind]
                yield file, Found(place, f"no yes-or-no attribute {name!r}.{hint(name, flags)}")
        if policy.zone_trait and self.names.kind(policy.zone_trait) is not Kind.TEXT:
            texts = [key for key in (*self.names.traits, *self.names.attributes) if self.names.kind(key) is Kind.TEXT]
            nearest = hint(policy.zone_trait, texts)
            yield file, Found(("zone_trait",), f"no trait of text {policy.zone_trait!r}.{nearest}")

    def _parts(self, parts: list[tuple[Place, Shape]], zone: str) -> Iterator[Found]:
        for root, shape in parts:
            yield from unknown(references(shape, root), self.names)
            for place, part in shapes(shape, root):
                yield from part_findings(place, part, self.names, zone)
