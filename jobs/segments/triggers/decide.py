"""Decisions, pure: whether a message fires, and whether one that has fired is taken back. A person's history is an argument."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from jobs.segments.language.policy import Cap, Policy
from jobs.segments.triggers.model import Decided, Decision, Fired, Message, Person, Reason
from jobs.segments.triggers.quiet import not_before, zone_of


def decide(
    message: Message, *, holds: bool, is_undone: bool, person: Person, history: Sequence[Fired], policy: Policy
) -> Decided:
    """`holds`: the rule of `if` at the moment of decision; `is_undone`: what it is about is over by then.

    Every reason against it is given. `history`: what has fired for the person so far, journeys included.
    """
    rules = policy.purposes[message.purpose]
    zone = zone_of(message.zone, person.zone, policy)
    quiet = policy.quiet_hours if rules.is_quiet and message.message is not None else None
    start = not_before(message.decided_at, quiet, zone)
    expires_at = message.decided_at + message.expires
    found = {
        Reason.UNDONE: is_undone,
        Reason.CONDITION: not holds,
        Reason.SUPPRESSED: bool(person.flags.get(policy.suppressed)),
        Reason.CONSENT: rules.consent is not None and not person.flags.get(rules.consent),
        Reason.RE_ENTRY: _is_again(message, history),
        Reason.FREQUENCY_CAP: message.message is not None and _is_capped(message, start, history, rules.caps),
        Reason.QUIET_HOURS: start >= expires_at,
        Reason.EXPIRED: message.occasion_at + message.expires <= message.decided_at,
    }
    reasons = tuple(reason for reason, is_against in found.items() if is_against)
    if reasons:
        return Decided(Decision.HOLD, message, reasons, zone=zone)
    return Decided(Decision.FIRE, message, (), start, expires_at, zone)


def _is_again(message: Message, history: Sequence[Fired]) -> bool:
    """Whether the person had it before, taken-back ones aside, and may not have it again yet."""
    if message.re_entry == "always":
        return False
    before = [
        fired.decided.message.occasion_at
        for fired in history
        if fired.decided.message.trigger == message.trigger
        and fired.decided.message.entry_id is None
        and (fired.sent_at is not None or not fired.is_taken_back)
    ]
    if isinstance(message.re_entry, timedelta):
        return any(abs(message.occasion_at - moment) < message.re_entry for moment in before)
    return bool(before)


def _is_capped(message: Message, start: datetime, history: Sequence[Fired], caps: Sequence[Cap]) -> bool:
    """Whether as many messages of the purpose lie within a cap's length before (or after) it as the cap allows."""
    contacts = [
        fired.contact_at
        for fired in history
        if fired.decided.message.purpose == message.purpose and fired.counts_at(message.decided_at)
    ]
    return any(sum(abs(start - moment) < cap.within for moment in contacts) >= cap.at_most for cap in caps)


def take_back(fired: Fired, undone_at: datetime, known_at: datetime, reason: Reason) -> Decided | None:
    """What an event that undoes a fired message makes of it: before it was sent a cancel; None when it makes nothing.

    A regret when the event had happened by the time of sending, but was not known. One that happened later is what the message
    was sent for.
    """
    message = fired.decided.message
    if fired.is_taken_back or message.message is None:
        return None
    at = max(known_at, fired.decided.decided_at)
    if fired.sent_at is not None and fired.sent_at <= at:
        is_regret = undone_at <= fired.sent_at
        return Decided(Decision.REGRET, message, (reason,), at=at, undone_at=undone_at) if is_regret else None
    if fired.decided.expires_at is not None and fired.decided.expires_at <= at:
        return None
    return Decided(Decision.CANCEL, message, (reason,), at=at, undone_at=undone_at)
