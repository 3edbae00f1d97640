"""The way through a journey, pure: from one moment to the next pause or the end."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from jobs.core.hashing import hash_parts
from jobs.segments.language.journeys import END, Branch, Exit, Journey, Send, Wait
from jobs.segments.language.triggers import PERSON
from jobs.segments.triggers.model import Message, Standing

FINISHED, MET_EXIT, EVENT_EXIT = "finished", "exit_when", "exit_on"
# The journey, or the step that an entry waited at, is defined no longer.
GONE = "step_gone"
# Profiles became one that were in the same journey: who entered it first goes on.
MERGED = "merged"


def rule_name(journey: str, step: str, way: int) -> str:
    """The unnamed segment of those for whom the rule of a way holds."""
    return f"journey__{journey}__{step}__{way}"


def exit_name(journey: str) -> str:
    """The unnamed segment of those for whom `exit_when` holds."""
    return f"journey__{journey}__exit_when"


@dataclass(frozen=True)
class Walked:
    """Where it stands now, and the messages of the steps on the way."""

    standing: Standing
    messages: tuple[Message, ...]


def enter(journey: Journey, start: Message) -> Standing:
    """The entry that a fired start makes, before its first step; its identity follows from the occasion's."""
    entry_id = hash_parts((journey.name, start.occasion_id))
    at, first = start.decided_at, next(iter(journey.steps))
    return Standing(
        entry_id,
        journey.name,
        start.profile_id,
        0,
        at,
        at,
        first,
        at,
        event_keys=start.event_keys,
        trigger=start.trigger,
    )


def walk(journey: Journey, standing: Standing, at: datetime, holds: Mapping[str, bool]) -> Walked:
    """Goes on from a step that is reached or a pause that is over at `at`. `holds`: the unnamed segments at that moment."""
    if holds.get(exit_name(journey.name)):
        return Walked(ended(standing, at, MET_EXIT), ())
    name = standing.step
    assert name is not None
    messages: list[Message] = []
    if isinstance(journey.steps[name], Wait) and standing.sequence > 0:
        name = journey.next_steps(name)[0]
    while name != END:
        step = journey.steps[name]
        if isinstance(step, Exit):
            return Walked(ended(standing, at, step.exit), tuple(messages))
        if isinstance(step, Wait):
            paused = replace(standing, sequence=standing.sequence + 1, at=at, step=name, due_at=at + step.wait)
            return Walked(paused, tuple(messages))
        if isinstance(step, Send):
            messages.append(_message(journey, standing, name, at, step.send))
            name = journey.next_steps(name)[0]
        else:
            name = _chosen(journey, name, step, holds)
    return Walked(ended(standing, at, FINISHED), tuple(messages))


def ended(standing: Standing, at: datetime, reason: str) -> Standing:
    """The entry's last row."""
    return replace(standing, sequence=standing.sequence + 1, at=at, step=None, due_at=None, reason=reason)


def _chosen(journey: Journey, name: str, step: Branch, holds: Mapping[str, bool]) -> str:
    for place, way in enumerate(step.branch):
        if holds[rule_name(journey.name, name, place)]:
            return way.then
    return step.otherwise


def _message(journey: Journey, standing: Standing, step: str, at: datetime, send: str) -> Message:
    return Message(
        occasion_id=hash_parts((journey.name, standing.entry_id, step)),
        trigger=standing.trigger,
        profile_id=standing.profile_id,
        message=send,
        purpose=journey.purpose,
        occasion_at=at,
        decided_at=at,
        expires=journey.expires,
        zone=PERSON,
        re_entry="always",
        event_keys=standing.event_keys,
        journey=journey.name,
        step=step,
        entry_id=standing.entry_id,
    )
