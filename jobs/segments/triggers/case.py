"""One person's occasions in the order of time: each decided by what had happened before it, whenever it is worked off."""

import heapq
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum

from jobs.segments.language.triggers import Leaves, ReEntry, Trigger
from jobs.segments.triggers.book import Book, condition_name
from jobs.segments.triggers.decide import decide, take_back
from jobs.segments.triggers.judge import Judgement
from jobs.segments.triggers.model import Decided, Decision, Fired, Message, Occasion, Reason, Standing
from jobs.segments.triggers.walk import EVENT_EXIT, GONE, MERGED, MET_EXIT, ended, enter, walk


class Kind(IntEnum):
    """What is to be done at a moment; at the same one in this order, so that what is over is over before anything new fires."""

    UNDO = 0
    EXIT = 1
    WAKE = 2
    OCCASION = 3


@dataclass(frozen=True)
class Undo:
    """An event that undoes a message."""

    occasion_id: str
    undone_at: datetime
    known_at: datetime


@dataclass(frozen=True)
class ExitEvent:
    """An event that ends a journey for those who entered before it."""

    journey: str
    happened_at: datetime


@dataclass(frozen=True)
class WayBack:
    """A membership that has turned back: undoes what the trigger has sent off before."""

    trigger: str
    valid_at: datetime


Payload = Undo | WayBack | ExitEvent | Standing | Occasion


@dataclass(order=True, frozen=True)
class Item:
    """Something to be done at a moment."""

    at: datetime
    kind: Kind
    rank: int
    key: str
    payload: Payload = field(compare=False)


@dataclass
class Case:
    """A person's items, and what has been made of them. `until`: later moments are left for the next time.

    `verdicts`: occasions that have been decided before. They may come again after a crash: nothing is decided twice, and what
    follows from them is done if it is missing.
    """

    profile_id: str
    book: Book
    until: datetime
    history: list[Fired] = field(default_factory=list)
    verdicts: dict[str, Decision] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    moved: list[Standing] = field(default_factory=list)

    def add(self, at: datetime, kind: Kind, payload: Payload, *, rank: int = 0, key: str = "") -> None:
        """Puts an item in its place."""
        if at <= self.until:
            heapq.heappush(self.items, Item(at, kind, rank, key, payload))

    def occasion(self, occasion: Occasion) -> None:
        """An occasion that has come about."""
        rank = self.book.triggers[occasion.trigger].rank
        self.add(occasion.decided_at, Kind.OCCASION, occasion, rank=rank, key=occasion.trigger + occasion.occasion_id)

    def undone(self, occasion: Occasion) -> None:
        """What an occasion says of being undone."""
        if occasion.undone_at is not None and occasion.undone_known_at is not None:
            undo = Undo(occasion.occasion_id, occasion.undone_at, occasion.undone_known_at)
            self.add(max(occasion.undone_known_at, occasion.decided_at), Kind.UNDO, undo, key=occasion.occasion_id)

    def next(self) -> tuple[str, datetime]:
        """Whom to judge at which moment for the next item."""
        return self.profile_id, self.items[0].at

    def work(self, judgement: Judgement) -> None:
        """Does the next item."""
        item = heapq.heappop(self.items)
        if isinstance(item.payload, Occasion):
            self._decide_occasion(item.payload, judgement)
        elif isinstance(item.payload, Undo):
            self._undo(item.payload)
        elif isinstance(item.payload, WayBack):
            self._turn_back(item.payload, item.at)
        elif isinstance(item.payload, ExitEvent):
            self._exit(item.payload, item.at)
        else:
            self._wake(item.payload, item.at, judgement)

    def _decide_occasion(self, occasion: Occasion, judgement: Judgement) -> None:
        trigger = self.book.triggers[occasion.trigger]
        holds = judgement.holds[condition_name(trigger.name)] if trigger.if_ is not None else True
        is_undone = occasion.is_turn and not _still(trigger, judgement)
        message = _own_message(trigger, occasion)
        if not self._decide(message, judgement, holds=holds, is_undone=is_undone):
            return
        self.undone(occasion)
        for journey in self.book.started_by(trigger.name):
            standing = enter(journey, message)
            former = [one for one in self.standings.values() if one.journey == journey.name]
            if standing.entry_id in self.standings or not _may_enter(former, journey.re_entry, standing.at):
                continue
            self._stands(standing)
            self.add(standing.at, Kind.WAKE, standing, rank=journey.rank, key=standing.entry_id)

    def _decide(self, message: Message, judgement: Judgement, *, holds: bool, is_undone: bool) -> bool:
        if (known := self.verdicts.get(message.occasion_id)) is not None:
            return known is Decision.FIRE
        made = decide(
            message,
            holds=holds,
            is_undone=is_undone,
            person=judgement.person,
            history=self.history,
            policy=self.book.policy,
        )
        self.decided.append(made)
        self.verdicts[message.occasion_id] = made.decision
        if made.decision is Decision.FIRE:
            self.history.append(Fired(made))
        return made.decision is Decision.FIRE

    def _undo(self, undo: Undo) -> None:
        for fired in self.history:
            if fired.decided.message.occasion_id == undo.occasion_id:
                self._take_back(fired, undo.undone_at, undo.known_at, Reason.UNDONE)

    def _turn_back(self, back: WayBack, at: datetime) -> None:
        """The last of the trigger's messages by then is the one that this is the way back of."""
        own = [
            fired
            for fired in self.history
            if fired.decided.message.trigger == back.trigger and fired.decided.message.entry_id is None
        ]
        last = next((fired for fired in reversed(own) if fired.decided.decided_at <= at), None)
        if last is not None:
            self._take_back(last, back.valid_at, at, Reason.UNDONE)

    def _take_back(self, fired: Fired, undone_at: datetime, known_at: datetime, reason: Reason) -> None:
        made = take_back(fired, undone_at, known_at, reason)
        if made is not None:
            self.decided.append(made)
            fired.is_taken_back = True

    def _exit(self, event: ExitEvent, at: datetime) -> None:
        for standing in list(self.standings.values()):
            if standing.journey == event.journey and standing.is_active and standing.entered_at < event.happened_at:
                self._stands(ended(standing, at, EVENT_EXIT))
                self._recall(standing.entry_id, event.happened_at, at)

    def _wake(self, standing: Standing, at: datetime, judgement: Judgement) -> None:
        if self.standings[standing.entry_id] != standing:
            return  # it has gone on or ended since
        journey = self.book.journeys.get(standing.journey)
        if journey is None or standing.step not in journey.steps:
            self._stands(ended(standing, at, GONE))
            return
        if any(one.is_active and one.is_before(standing) for one in self.standings.values()):
            self._stands(ended(standing, at, MERGED))
            return
        walked = walk(journey, standing, at, judgement.holds)
        for message in walked.messages:
            self._decide(message, judgement, holds=True, is_undone=False)
        self._stands(walked.standing)
        if walked.standing.reason == MET_EXIT:
            self._recall(standing.entry_id, at, at)
        elif walked.standing.due_at is not None:
            self.wake(walked.standing)

    def wake(self, standing: Standing) -> None:
        """An entry that goes on when its pause is over."""
        if standing.due_at is not None:
            rank = self.book.journeys[standing.journey].rank if standing.journey in self.book.journeys else 0
            self.add(standing.due_at, Kind.WAKE, standing, rank=rank, key=standing.entry_id)

    def _stands(self, standing: Standing) -> None:
        self.standings[standing.entry_id] = standing
        self.moved.append(standing)

    def _recall(self, entry_id: str, undone_at: datetime, known_at: datetime) -> None:
        for fired in self.history:
            if fired.decided.message.entry_id == entry_id:
                self._take_back(fired, undone_at, known_at, Reason.JOURNEY_EXIT)


def _still(trigger: Trigger, judgement: Judgement) -> bool:
    """Whether the membership is still as the trigger waited for."""
    is_in = judgement.holds[str(trigger.waits_for)]
    return not is_in if isinstance(trigger.occasion, Leaves) else is_in


def _may_enter(former: list[Standing], re_entry: ReEntry, at: datetime) -> bool:
    """Whether a person may begin a journey: not while in it, and as `re_entry` says."""
    if any(standing.is_active for standing in former) or (former and re_entry == "once"):
        return False
    return not (isinstance(re_entry, timedelta) and any(at - standing.entered_at < re_entry for standing in former))


def _own_message(trigger: Trigger, occasion: Occasion) -> Message:
    return Message(
        occasion_id=occasion.occasion_id,
        trigger=trigger.name,
        profile_id=occasion.profile_id,
        message=trigger.name if trigger.sends else None,
        purpose=trigger.purpose,
        occasion_at=occasion.occasion_at,
        decided_at=occasion.decided_at,
        expires=trigger.expires,
        zone=trigger.time_zone,
        re_entry=trigger.re_entry,
        event_keys=occasion.event_keys,
    )
