"""All files of definitions judged together: traits and segments, then triggers, journeys and the policy, then scenarios."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobs.core.definition_files import Problem
from jobs.segments.language import catalogue
from jobs.segments.scenarios import files as scenarios
from jobs.segments.triggers import files as triggers


@dataclass(frozen=True)
class Judged:
    """Problems and remarks, sorted; how many definitions there are."""

    problems: list[Problem]
    remarks: list[Problem]
    count: int


def judge(root: Path, drafts: Iterable[Path] = ()) -> Judged:
    """`drafts`: traits and segments from elsewhere, which stand in for those of the same name.

    What others are built on comes first: nothing is told of triggers before all segments are right, as it would only follow.
    """
    found = catalogue.check(root, drafts=drafts)
    count = len(found.catalogue.traits) + len(found.catalogue.segments)
    if found.problems:
        return Judged(found.problems, found.remarks, count)
    booked = triggers.check(root, found.catalogue)
    remarks = sorted({*found.remarks, *booked.remarks})
    if booked.problems or booked.book is None:
        return Judged(booked.problems, remarks, count)
    world = scenarios.World(found.catalogue, booked.book)
    paths = sorted((root / scenarios.SCENARIOS).glob("*.yml"))
    told, problems = scenarios.check(paths, world)
    count += len(booked.book.triggers) + len(booked.book.journeys) + len(told)
    return Judged(problems, remarks, count)
