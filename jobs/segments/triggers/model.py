"""What is decided about: occasions, messages, decisions, people, and the ways of those in a journey.

Times are UTC without zone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.core.hashing import hash_parts
from jobs.segments.language.policy import Purpose
from jobs.segments.language.triggers import ReEntry


class Decision(StrEnum):
    """What became of an occasion: `fire` or `hold` once; after a fire at most one of `cancel` and `regret`."""

    FIRE = "fire"
    HOLD = "hold"
    CANCEL = "cancel"
    REGRET = "regret"


class Reason(StrEnum):
    """Why an occasion was held, or a message taken back."""

    CONDITION = "condition"  # the rule of `if` did not hold
    CONSENT = "consent"  # no consent for the purpose
    SUPPRESSED = "suppressed"
    FREQUENCY_CAP = "frequency_cap"
    RE_ENTRY = "re_entry"
    QUIET_HOURS = "quiet_hours"  # it would expire before they end
    EXPIRED = "expired"  # known too late
    UNDONE = "undone"  # what was absent came, or the membership turned back
    JOURNEY_EXIT = "journey_exit"


@dataclass(frozen=True)
class Occasion:
    """A trigger's occasion of one profile.

    `undone_at`: the earliest time of an event that undoes it; `undone_known_at`: when the first such was received.
    `is_turn`: it is a change of membership, which may have turned back by the time of its decision. `told_of`: the profile that
    it was told of, which may be a part of this one since.
    """

    trigger: str
    profile_id: str
    event_keys: tuple[str, ...]
    occasion_at: datetime
    decided_at: datetime
    undone_at: datetime | None = None
    undone_known_at: datetime | None = None
    is_turn: bool = False
    told_of: str | None = None

    @property
    def occasion_id(self) -> str:
        """Its identity: the trigger and the events that caused it, so that a merge of profiles does not make it new.

        Where only time passed there is no event, and profile, as it was then, and time stand for it.
        """
        if self.event_keys:
            return hash_parts((self.trigger, *self.event_keys))
        return hash_parts((self.trigger, None, self.told_of or self.profile_id, self.occasion_at.isoformat()))


@dataclass(frozen=True)
class Turn:
    """A change of membership, as the evaluator has it.

    `known_at`: the moment at which it was found, of one by time the moment of the change. `is_by_time`: nothing but time has
    caused it; `is_by_definition`: nothing has happened at all, a definition was changed. `told_of`: as of an occasion.
    """

    segment: str
    profile_id: str
    is_entry: bool
    valid_at: datetime
    known_at: datetime
    event_keys: tuple[str, ...] = ()
    is_by_time: bool = False
    is_by_definition: bool = False
    told_of: str | None = None


@dataclass(frozen=True)
class Message:
    """Something that is to be decided on: a trigger's own message, or one of a journey's step (then with `entry_id`).

    `message` is None when nothing is sent (the trigger only starts journeys).
    """

    occasion_id: str
    trigger: str
    profile_id: str
    message: str | None
    purpose: Purpose
    occasion_at: datetime
    decided_at: datetime
    expires: timedelta
    zone: str
    re_entry: ReEntry
    event_keys: tuple[str, ...]
    journey: str | None = None
    step: str | None = None
    entry_id: str | None = None


@dataclass(frozen=True)
class Decided:
    """A row of `trigger_decisions`; `not_before` and `expires_at` bound when a fired message may be sent."""

    decision: Decision
    message: Message
    reasons: tuple[Reason, ...] = ()
    not_before: datetime | None = None
    expires_at: datetime | None = None
    zone: str | None = None
    at: datetime | None = None  # of a cancel or regret: the moment of it; else that of the message
    undone_at: datetime | None = None  # of a cancel or regret: when what it is taken back for happened

    @property
    def decided_at(self) -> datetime:
        """The moment that the decision counts from."""
        return self.at or self.message.decided_at


@dataclass
class Fired:
    """A message that fired, and what became of it."""

    decided: Decided
    sent_at: datetime | None = None
    is_taken_back: bool = False

    @property
    def contact_at(self) -> datetime:
        """When the person heard or may hear of it."""
        return self.sent_at or self.decided.not_before or self.decided.decided_at

    def counts_at(self, moment: datetime) -> bool:
        """Whether it is a contact as far as is known at the moment: sent, or still to be sent."""
        if self.decided.message.message is None:
            return False
        expires = self.decided.expires_at
        return self.sent_at is not None or (not self.is_taken_back and (expires is None or expires > moment))


@dataclass(frozen=True)
class Person:
    """What policy asks of a profile: yes-or-no attributes (unknown is no consent, and not suppressed), and the zone stated."""

    flags: Mapping[str, bool | None] = field(default_factory=dict)
    zone: str | None = None


@dataclass(frozen=True)
class Standing:
    """Where an entry into a journey stands: a row of `journey_states`. `step` None: it has ended, for `reason`."""

    entry_id: str
    journey: str
    profile_id: str
    sequence: int
    entered_at: datetime
    at: datetime
    step: str | None
    due_at: datetime | None
    reason: str | None = None
    event_keys: tuple[str, ...] = ()
    trigger: str = ""

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return self.step is not None

    def is_before(self, other: "Standing") -> bool:
        """Whether it is an earlier entry into the same journey."""
        return self.journey == other.journey and (self.entered_at, self.entry_id) < (other.entered_at, other.entry_id)
