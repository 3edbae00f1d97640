"""The stream as its promise has it: who was touched is evaluated, and who is due; nobody else.

A driver without Spark around the engine: `ask` evaluates profiles at instants and says when each is due next.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from segments.events import Event

Asked = tuple[str, datetime]
Answers = dict[str, Any]
Ask = Callable[[Iterable[Asked]], dict[Asked, tuple[Answers, datetime | None]]]
MOST_ROUNDS = 5


def streamed(
    ask: Ask, history: Iterable[Event], profiles: tuple[str, ...], moments: tuple[datetime, ...]
) -> Iterator[tuple[datetime, dict[str, Answers]]]:
    """What is held of each profile after the micro-batch of each instant; the first evaluates everybody.

    Where time alone has more changes between two instants than a test has time for, it begins anew.
    """
    held = {key[0]: found for key, found in ask((name, moments[0]) for name in profiles).items()}
    yield moments[0], {name: answers for name, (answers, _) in held.items()}
    for before, moment in pairwise(moments):
        for _ in range(MOST_ROUNDS):
            due = [(name, when) for name, (_, when) in held.items() if when is not None and when <= moment]
            if not due:
                break
            held |= {key[0]: found for key, found in ask(due).items()}
        else:
            held = {key[0]: found for key, found in ask((name, moment) for name in profiles).items()}
        touched = {event.profile_id for event in history if before < event.received_at <= moment}
        held |= {key[0]: found for key, found in ask((name, moment) for name in touched & set(profiles)).items()}
        yield moment, {name: answers for name, (answers, _) in held.items()}
