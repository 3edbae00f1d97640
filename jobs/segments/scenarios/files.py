"""From files to scenarios of which every name is known; or every problem, with its line."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.core.command import hint
from jobs.core.definition_files import DefinitionFile, Problem, read_file
from jobs.core.definitions import SEGMENT_FOLDER, DefinitionError
from jobs.core.explained import Found, Place
from jobs.segments.language.journeys import Send
from jobs.segments.language.model import Catalogue
from jobs.segments.language.references import SEGMENT, TRAIT, Reference, only
from jobs.segments.language.scenarios import Change, Expect, Expected, Happens, Scenario
from jobs.segments.triggers.book import Book

SCENARIOS = SEGMENT_FOLDER.parent / "scenarios"


@dataclass(frozen=True)
class World:
    """All that is defined."""

    catalogue: Catalogue
    book: Book

    def part(self, about: Iterable[str], more: Iterable[str] = ()) -> "World":
        """What is needed for these definitions and no more; a journey brings the trigger that starts it. `more`: segments and
        traits that are looked at too."""
        names = set(about)
        journeys = {name: one for name, one in self.book.journeys.items() if name in names}
        starting = {journey.start for journey in journeys.values()}
        triggers = {name: one for name, one in self.book.triggers.items() if name in names | starting}
        book = Book(triggers, journeys, self.book.policy)
        wanted: set[Reference] = {(SEGMENT, name) for name in self.catalogue.segments if name in names | set(more)}
        wanted |= {(TRAIT, name) for name in self.catalogue.traits if name in names | set(more)}
        for kind, name in ((TRAIT, one) for one in book.judged(self.catalogue).traits):
            wanted.add((kind, name))
        wanted |= {(SEGMENT, name) for name in book.judged(self.catalogue).segments if name in self.catalogue.segments}
        return World(only(self.catalogue, wanted), book)


def looked_at(scenario: Scenario) -> set[str]:
    """The segments and traits that its expectations name."""
    expected = [step.expect for step in scenario.story if isinstance(step, Expect)]
    return {name for one in expected for names in (one.members, one.traits, one.entries, one.exits) for name in names}


def load(paths: Iterable[Path], world: World) -> list[DefinitionFile[Scenario]]:
    """The scenarios of the files. Raises DefinitionError with every problem of all of them."""
    found, problems = check(paths, world)
    if problems:
        raise DefinitionError.of(problems)
    return found


def check(paths: Iterable[Path], world: World) -> tuple[list[DefinitionFile[Scenario]], list[Problem]]:
    """As `load`, but raises nothing."""
    found: list[DefinitionFile[Scenario]] = []
    problems: list[Problem] = []
    for path in paths:
        file, wrong = read_file(path, Scenario)
        problems += wrong
        if file is not None:
            problems += [file.problem(one.path, one.text) for one in _findings(file.item, world)]
            found.append(file)
    return found, sorted(set(problems))


def _findings(scenario: Scenario, world: World) -> Iterator[Found]:
    known = [*world.catalogue.segments, *world.catalogue.traits, *world.book.triggers, *world.book.journeys]
    for place, name in enumerate(scenario.about):
        if name not in known:
            yield Found(("about", place), f"nothing is named {name!r}.{hint(name, known)}")
    for who, attributes in scenario.people.items():
        yield from _attributes(("people", who), attributes, world)
    for place, step in enumerate(scenario.story):
        at: Place = ("story", place)
        if isinstance(step, Happens):
            yield from _person((*at, "who"), step.who, scenario)
        elif isinstance(step, Change):
            yield from _person((*at, "change"), step.change, scenario)
            yield from _attributes((*at, "to"), step.to, world)
        elif isinstance(step, Expect):
            yield from _expected((*at, "expect"), step.expect, scenario, world)


def _person(place: Place, who: str, scenario: Scenario) -> Iterator[Found]:
    if who not in scenario.people:
        yield Found(place, f"nobody is named {who!r} in people.{hint(who, list(scenario.people))}")


def _attributes(place: Place, names: Iterable[str], world: World) -> Iterator[Found]:
    known = list(world.catalogue.attributes)
    for name in names:
        if name not in known:
            yield Found((*place, name), f"no attribute {name!r}.{hint(name, known)}")


def _expected(at: Place, expected: Expected, scenario: Scenario, world: World) -> Iterator[Found]:
    for key, named in (("members", expected.members), ("entries", expected.entries), ("exits", expected.exits)):
        for segment, people in named.items():
            if segment not in world.catalogue.segments:
                nearest = hint(segment, list(world.catalogue.segments))
                yield Found((*at, key, segment), f"unknown segment {segment!r}.{nearest}")
            for who in people:
                yield from _person((*at, key, segment), who, scenario)
    for trait, values in expected.traits.items():
        if trait not in world.catalogue.traits:
            nearest = hint(trait, list(world.catalogue.traits))
            yield Found((*at, "traits", trait), f"unknown trait {trait!r}.{nearest}")
        for who in values:
            yield from _person((*at, "traits", trait, who), who, scenario)
    yield from _decisions(at, expected, scenario, world)


def _decisions(at: Place, expected: Expected, scenario: Scenario, world: World) -> Iterator[Found]:
    part = world.part(scenario.about).book
    messages = [*part.triggers]
    messages += [step.send for one in part.journeys.values() for step in one.steps.values() if isinstance(step, Send)]
    for place, told in enumerate(expected.decisions or ()):
        yield from _person((*at, "decisions", place, "who"), told.who, scenario)
        if told.message not in messages:
            text = f"the scenario is about no message {told.message!r}.{hint(told.message, messages)}"
            yield Found((*at, "decisions", place), text)
    for journey, people in expected.journeys.items():
        if journey not in part.journeys:
            nearest = hint(journey, list(part.journeys))
            yield Found((*at, "journeys", journey), f"the scenario is about no journey {journey!r}.{nearest}")
        for who in people:
            yield from _person((*at, "journeys", journey, who), who, scenario)
