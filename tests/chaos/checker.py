"""The checker: what was sent and acknowledged against what stands in the tables, as one line of figures.

* lost: acknowledged, and not accounted for as often as it was acknowledged; a valid one also when it is in no table
  but the list of duplicates.
* duplicated: a message of the log in two places, an event twice in silver, or more copies than were ever on their way.
* unexpected: found, and never attempted. mutated: found with another content.
* misfiled: valid in quarantine, invalid in silver, suppressed kept, or set aside without its reason.
* recovered: copies that were not acknowledged and are there (allowed, at most those on their way when a line went dead).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from chaos.ledger import Tally
from chaos.messages import Message, Outcome

SHOWN = 5


class Place(StrEnum):
    """Tables, and the two outcomes of the list of dropped messages."""

    SILVER = "silver"
    QUARANTINE = "quarantine"
    DUPLICATE = "duplicate"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True)
class Found:
    """One row of a table. `imprints`: what silver says, in the spellings that may count; the payload's hash in quarantine."""

    place: Place
    message_id: str
    event_id: str | None
    imprints: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    seq: int | None = None  # as the row itself states it


@dataclass
class Verdict:
    """The figures. Everything in FAULTS must be 0."""

    attempted: int = 0
    acked: int = 0
    silver: int = 0
    quarantine: int = 0
    suppressed: int = 0
    lost: int = 0
    duplicated: int = 0
    unexpected: int = 0
    mutated: int = 0
    misfiled: int = 0
    recovered: int = 0
    on_their_way: int = 0
    repeats: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    FAULTS = ("lost", "duplicated", "unexpected", "mutated", "misfiled")
    LINE = ("attempted", "acked", "silver", "quarantine", "suppressed", *FAULTS, "recovered")

    @property
    def is_clean(self) -> bool:
        """Nothing wrong, everything acknowledged, and nothing came that was not on its way."""
        return not any(getattr(self, name) for name in self.FAULTS) and self.recovered <= self.on_their_way

    def __str__(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in self.LINE)

    def blame(self, fault: str, what: str, count: int = 1) -> None:
        """Counts a fault and keeps the first few by name."""
        setattr(self, fault, getattr(self, fault) + count)
        shown = self.examples.setdefault(fault, [])
        if len(shown) < SHOWN:
            shown.append(what)


@dataclass(slots=True)
class _Copies:
    """Where the copies of one text are."""

    silver: int = 0
    quarantine: int = 0
    duplicate: int = 0
    suppressed: int = 0

    @property
    def total(self) -> int:
        return self.silver + self.quarantine + self.duplicate + self.suppressed


class Checker:
    """Knows every message that could have been sent; takes rows, then judges."""

    def __init__(self, messages: Iterable[Message], sent: Tally) -> None:
        self._sent = sent
        self._by_seq: dict[int, Message] = {}
        self._by_event: dict[str, int] = {}
        self._by_payload: dict[str, int] = {}
        self._claims: dict[str, list[int]] = {}
        self._copies: dict[int, _Copies] = {}
        self._seen: set[str] = set()
        self.verdict = Verdict()
        for message in messages:
            self._know(message)

    def _know(self, message: Message) -> None:
        self._by_seq[message.seq] = message
        self._by_payload[message.payload_hash] = message.seq
        if message.is_conflict:
            self._claims.setdefault(message.event_id, []).append(message.seq)
        else:
            self._by_event[message.event_id] = message.seq

    def take(self, rows: Iterable[Found]) -> None:
        """Files rows under the message they are copies of; judges each by itself."""
        for row in rows:
            if row.place in (Place.SILVER, Place.QUARANTINE, Place.SUPPRESSED):
                setattr(self.verdict, row.place, getattr(self.verdict, row.place) + 1)
            else:
                self.verdict.repeats += 1
            if row.message_id in self._seen:
                self.verdict.blame(
                    "duplicated", f"message {row.message_id[:12]} of {row.event_id} again in {row.place}"
                )
                continue
            self._seen.add(row.message_id)
            seq = self._identify(row)
            if seq is None or not self._sent.attempted[seq]:
                self.verdict.blame("unexpected", f"{row.event_id or row.seq} in {row.place}")
                continue
            copies = self._copies.setdefault(seq, _Copies())
            setattr(copies, row.place, getattr(copies, row.place) + 1)

    def _identify(self, row: Found) -> int | None:
        """The seq that the row is a copy of; one with another content is blamed here and counts as the copy it claims to be."""
        if row.place is Place.QUARANTINE:
            return self._identify_payload(row)
        seq = self._by_event.get(row.event_id or "")
        if row.place is not Place.SILVER or seq is None:
            return seq
        if self._by_seq[seq].imprint not in row.imprints and self._by_seq[seq].outcome is Outcome.SILVER:
            claim = next((s for s in self._claims.get(row.event_id or "", ()) if s == row.seq), None)
            if claim is not None:
                return claim
            self.verdict.blame("mutated", f"{row.event_id} in silver")
        return seq

    def _identify_payload(self, row: Found) -> int | None:
        seq = next((self._by_payload[mark] for mark in row.imprints if mark in self._by_payload), None)
        if seq is None and row.seq in self._by_seq:
            self.verdict.blame("mutated", f"{row.event_id or row.seq} in quarantine")
            seq = row.seq
        if seq is not None:
            expected = self._by_seq[seq].reason
            if expected is not None and row.reasons != (expected,):
                self.verdict.blame("misfiled", f"{row.event_id} in quarantine for {row.reasons}, not {expected}")
        return seq

    def judge(self) -> Verdict:
        """After all rows: what is missing, what is too much, what is in the wrong place."""
        verdict, sent = self.verdict, self._sent
        verdict.attempted = _items(sent.attempted, sent)
        verdict.acked, verdict.on_their_way = sent.acked.total(), sent.cut.total()
        for seq in sent.attempted:
            self._judge_one(self._by_seq[seq], self._copies.get(seq, _Copies()))
        return verdict

    def _judge_one(self, message: Message, copies: _Copies) -> None:
        verdict, name = self.verdict, f"{message.event_id} (seq {message.seq})"
        acked, cut = self._sent.acked[message.seq], self._sent.cut[message.seq]
        missing, too_many = acked - copies.total, copies.total - acked - cut
        if missing > 0:
            verdict.blame("lost", f"{name}: acknowledged {acked} times, found {copies.total}", missing)
        if too_many > 0:
            verdict.blame("duplicated", f"{name}: {copies.total} copies of {acked + cut} sent", too_many)
        verdict.recovered += min(max(0, -missing), cut)
        if message.outcome is Outcome.SILVER:
            self._judge_valid(message, copies, name)
        elif message.outcome is Outcome.QUARANTINE:
            wrong = copies.total - copies.quarantine
            if wrong:
                verdict.blame("misfiled", f"{name}: {message.reason}, and not in quarantine", wrong)
        else:
            wrong = copies.silver + copies.quarantine + (copies.duplicate if not copies.suppressed else 0)
            if wrong:
                verdict.blame("misfiled", f"{name}: without consent, and not suppressed", wrong)

    def _judge_valid(self, message: Message, copies: _Copies, name: str) -> None:
        wrong = copies.quarantine + copies.suppressed
        if wrong:
            self.verdict.blame("misfiled", f"{name}: valid, and set aside", wrong)
        if copies.silver > 1:
            self.verdict.blame("duplicated", f"{name}: {copies.silver} times in silver", copies.silver - 1)
        if copies.duplicate and not copies.silver and not wrong:
            self.verdict.blame("lost", f"{name}: dropped as a repeat of nothing")


def _items(attempted: Counter[int], sent: Tally) -> int:
    """Messages sent at least once, each repeat of its own: what was tried without counting a retry twice."""
    return sum(max(sent.acked[seq], 1) for seq in attempted)
