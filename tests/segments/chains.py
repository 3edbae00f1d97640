"""Rules over several events: every chain of steps is tried, and every event that could have been followed."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

from jobs.segments.language.events import Matched
from jobs.segments.language.rules import FollowRule, SequenceRule
from segments import values
from segments.events import Event

Matching = Callable[[Matched], list[Event]]


def completed(rule: SequenceRule, now: datetime, matching: Matching, chain: tuple[Event, ...] = ()) -> bool:
    """Whether there is a chain of steps as the rule wants them, beginning with the one given."""
    if len(chain) == len(rule.sequence):
        return _whole(rule, chain, now, matching)
    longer = [(*chain, event) for event in matching(rule.sequence[len(chain)])]
    return any(_linked(rule, one) and completed(rule, now, matching, one) for one in longer)


def _linked(rule: SequenceRule, chain: tuple[Event, ...]) -> bool:
    """Whether the last event of a chain may follow the one before it."""
    if rule.same is not None and values.text(chain[-1].properties, rule.same) is None:
        return False
    if len(chain) == 1:
        return True
    before, after = chain[-2:]
    step = rule.sequence[len(chain) - 1]
    near = step.within is None or after.effective_at - before.effective_at <= step.within
    return before.effective_at < after.effective_at and near and _alike(rule.same, before, after)


def _whole(rule: SequenceRule, chain: tuple[Event, ...], now: datetime, matching: Matching) -> bool:
    """Whether a chain of all steps is short enough, recent enough, and nothing unwanted lies in it."""
    first, last = chain[0], chain[-1]
    if rule.within is not None and last.effective_at - first.effective_at > rule.within:
        return False
    if rule.last is not None and last.effective_at <= now - rule.last:
        return False
    unwanted = matching(rule.without) if rule.without is not None else []
    return not any(
        before.effective_at < event.effective_at <= after.effective_at and _alike(rule.same, event, before)
        for before, after in pairwise(chain)
        for event in unwanted
    )


def not_followed(rule: FollowRule, now: datetime, matching: Matching) -> bool:
    """Whether there is an event that had its time and was not followed in it."""
    others = matching(rule.not_followed_by)
    return any(_alone(rule, event, others, now) for event in matching(rule))


def _alone(rule: FollowRule, event: Event, others: list[Event], now: datetime) -> bool:
    end = event.effective_at + rule.within
    if end > now or (rule.last is not None and event.effective_at <= now - rule.last):
        return False
    if rule.same is not None and values.text(event.properties, rule.same) is None:
        return False
    return not any(
        event.effective_at < other.effective_at <= end and _alike(rule.same, event, other) for other in others
    )


def _alike(path: str | None, one: Event, other: Event) -> bool:
    """Whether two events have the same text of the property; always, when no property is asked for."""
    return path is None or values.text(one.properties, path) == values.text(other.properties, path)
