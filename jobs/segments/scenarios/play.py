"""Plays a scenario and holds its expectations against both engines; pure but for the connections it is given."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from jobs.core.definition_files import DefinitionFile
from jobs.segments.compile.rules import segment_column, trait_column
from jobs.segments.language.scenarios import Change, Deliver, Expect, Expected, Happens, Scenario, Told, Until, Wait
from jobs.segments.language.triggers import Absence, Presence
from jobs.segments.language.units import instant
from jobs.segments.scenarios.files import World, looked_at
from jobs.segments.scenarios.stage import Engines, Stage, names
from jobs.segments.scenarios.tables import Seen
from jobs.segments.scenarios.why import why_decided, why_member


@dataclass(frozen=True)
class Failure:
    """An expectation that was not met: where it stands, at which moment, what was wanted and found, and why."""

    label: str
    line: int
    moment: datetime
    text: str
    why: str = ""

    def __str__(self) -> str:
        told = f"{self.label}:{self.line}: at {self.moment:%Y-%m-%d %H:%M:%S} UTC: {self.text}"
        return f"{told}\n    {self.why}" if self.why else told


@dataclass(frozen=True)
class Played:
    """A scenario that was played."""

    name: str
    expectations: int
    failures: tuple[Failure, ...]


def play(file: DefinitionFile[Scenario], world: World, engines: Engines) -> Played:
    """Plays one scenario, over two connections that know time zones and are UTC."""
    scenario = file.item
    part = world.part(scenario.about, looked_at(scenario))
    start = instant(scenario.start, scenario.time_zone)
    people = {who: dict(given) for who, given in scenario.people.items()}
    return _Player(file, Stage(part, people, scenario.time_zone, start, engines)).play()


@dataclass
class _Player:
    file: DefinitionFile[Scenario]
    stage: Stage

    def play(self) -> Played:
        """Step by step."""
        scenario, failures, count = self.file.item, list[Failure](), 0
        for place, step in enumerate(scenario.story):
            if isinstance(step, Expect):
                count += 1
                failures += self._judged(place, step.expect)
                self.stage.changes.clear()
                self.stage.decisions.clear()
            else:
                self._act(place, step)
        return Played(scenario.name, count, tuple(failures))

    def _act(self, place: int, step: Happens | Wait | Until | Change | Deliver) -> None:
        stage = self.stage
        if isinstance(step, Happens):
            at = stage.now - step.late if step.late else stage.now
            key = f"{self.file.item.name}-{place + 1}"
            stage.happens(Seen(key, step.who, step.event, at, stage.now, place, step.properties))
        elif isinstance(step, Wait):
            stage.go(stage.now + step.wait)
        elif isinstance(step, Until):
            stage.go(max(stage.now, instant(step.until, self.file.item.time_zone)))
        elif isinstance(step, Change):
            stage.change(step.change, step.to)
        else:
            stage.deliver()

    def _judged(self, place: int, expected: Expected) -> Iterator[Failure]:
        stage, batch = self.stage, self.stage.evaluated()
        for keys, text, why in (
            *_members(stage, expected, batch),
            *_moves(stage, expected, batch),
            *_traits(expected, batch),
            *_decided(stage, expected, self.file.item),
            *_standing(stage, expected),
            *_engines(stage, batch),
        ):
            line = self.file.root.line_of(("story", place, "expect", *keys))
            yield Failure(self.file.label, line, stage.now, text, why)


Batch = dict[str, dict[str, Any]]
Missed = tuple[tuple[str | int, ...], str, str]


def _members(stage: Stage, expected: Expected, batch: Batch) -> Iterator[Missed]:
    for segment, people in expected.members.items():
        warehouse = {who for who, row in batch.items() if row[segment_column(segment)]}
        for engine, found in (("stream", set(stage.members(segment))), ("warehouse", warehouse)):
            if wrong := found ^ set(people):
                text = f"members of {segment} ({engine}): expected {names(people)}; found {names(found)}"
                yield ("members", segment), text, why_member(stage, segment, wrong, batch)


def _moves(stage: Stage, expected: Expected, batch: Batch) -> Iterator[Missed]:
    for key, is_entry, given in (("entries", True, expected.entries), ("exits", False, expected.exits)):
        for segment, people in given.items():
            rows = [row for row in stage.changes if row["segment"] == segment and row["is_entry"] is is_entry]
            found = {row["profile_id"] for row in rows}
            if wrong := found ^ set(people):
                text = f"{key} of {segment}: expected {names(people)}; found {names(found)}"
                yield (key, segment), text, why_member(stage, segment, wrong, batch)


def _traits(expected: Expected, batch: Batch) -> Iterator[Missed]:
    for trait, values in expected.traits.items():
        for who, wanted in values.items():
            found = batch[who][trait_column(trait)]
            if not _same(found, wanted):
                text = (
                    f"trait {trait} of {who}: expected {wanted!r}; found {found if found is not None else 'unknown'!r}"
                )
                yield ("traits", trait, who), text, ""


def _same(found: Any, wanted: Any) -> bool:
    if wanted == "unknown":
        return found is None
    if isinstance(found, Decimal) and isinstance(wanted, int | float):
        return found == Decimal(str(wanted))
    if isinstance(found, datetime) and isinstance(wanted, date):
        return found == instant(wanted, "UTC")
    return bool(found == wanted)


def _decided(stage: Stage, expected: Expected, scenario: Scenario) -> Iterator[Missed]:
    if expected.decisions is None:
        return
    rows = [row for row in stage.decisions if _is_about(row, scenario)]
    wanted = [_wanted(told) for told in expected.decisions]
    found = [_spoken(row) for row in rows]
    if sorted(wanted) != sorted(found):
        text = f"decisions: expected {'; '.join(wanted) or 'none'}; found {'; '.join(found) or 'none'}"
        yield ("decisions",), text, why_decided(rows)
        return
    left = sorted(rows, key=lambda row: row["decided_at"])
    for place, told in enumerate(expected.decisions):
        row = next(row for row in left if _spoken(row) == _wanted(told))
        left.remove(row)  # of those with the same words the first that is expected is the first that was decided
        if told.not_before is not None and row["not_before"] != instant(told.not_before, scenario.time_zone):
            text = f"{_wanted(told)}: expected not before {told.not_before}; found {row['not_before']} UTC"
            yield ("decisions", place), text, why_decided([row])


def _is_about(row: dict[str, Any], scenario: Scenario) -> bool:
    return (row["journey_name"] or row["trigger_name"]) in scenario.about


def _wanted(told: Told) -> str:
    return " ".join([told.decision, told.message, "for", told.who, *sorted(told.because)])


def _spoken(row: dict[str, Any]) -> str:
    message = row["message"] or row["trigger_name"]
    return " ".join([row["decision"], message, "for", row["profile_id"], *sorted(row["reasons"])])


def _standing(stage: Stage, expected: Expected) -> Iterator[Missed]:
    standing = {
        (row["journey_name"], row["profile_id"]): row["step_name"] or row["reason"] for row in stage.standings()
    }
    for journey, people in expected.journeys.items():
        for who, wanted in people.items():
            found = standing.get((journey, who), "not in it")
            if found != wanted:
                yield ("journeys", journey, who), f"{who} in journey {journey}: expected {wanted}; found {found}", ""


def _engines(stage: Stage, batch: Batch) -> Iterator[Missed]:
    """Whatever a scenario expects, both engines say the same."""
    for segment in stage.world.catalogue.segments:
        stream = set(stage.members(segment))
        warehouse = {who for who, row in batch.items() if row[segment_column(segment)]}
        if wrong := stream ^ warehouse:
            text = f"the engines differ on {segment}: stream {names(stream)}; warehouse {names(warehouse)}"
            yield (), text, why_member(stage, segment, wrong, batch)
    by_events = {
        name for name, one in stage.world.book.triggers.items() if isinstance(one.occasion, Presence | Absence)
    }
    decided = {
        row[0]
        for row in stage.connection.execute(
            "select distinct occasion_id from decisions where entry_id is null and trigger_name in (select unnest($1))",
            [sorted(by_events)],
        ).fetchall()
    }
    if decided != stage.occasions_of_all_time():
        yield (), "the stream has decided on other occasions than one query over all events finds", ""
