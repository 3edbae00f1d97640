"""Journeys: a few messages with pauses between them, and ways that part by what a person is or does."""

from typing import Annotated

from pydantic import Discriminator, Field, StrictStr, Tag

from jobs.core.definitions import Definition, Name
from jobs.segments.language.events import Matched
from jobs.segments.language.policy import Purpose
from jobs.segments.language.rules import Rule
from jobs.segments.language.triggers import ReEntry
from jobs.segments.language.units import Duration, Shape, kind_among

END = "end"


class Send(Shape):
    """A message, as the policy allows it; the journey goes on whether it was or not."""

    send: Name
    then: Name | None = None


class Wait(Shape):
    """A pause."""

    wait: Duration
    then: Name | None = None


class Way(Shape):
    """Where those go for whom a rule holds at that moment."""

    if_: Rule = Field(alias="if")
    then: Name


class Branch(Shape):
    """The first way whose rule holds; else `otherwise`."""

    branch: list[Way] = Field(min_length=1, max_length=20)
    otherwise: Name


class Exit(Shape):
    """The end, with the reason that reports show."""

    exit: StrictStr = Field(min_length=1, max_length=60)


STEPS: dict[str, type[Shape]] = {"send": Send, "wait": Wait, "branch": Branch, "exit": Exit}


AnyStep = Annotated[
    Annotated[Send, Tag("send")]
    | Annotated[Wait, Tag("wait")]
    | Annotated[Branch, Tag("branch")]
    | Annotated[Exit, Tag("exit")],
    Discriminator(
        kind_among(STEPS),
        custom_error_type="step_kind",
        custom_error_message="a step is a mapping with one of: send, wait, branch, exit",
    ),
]


class Journey(Definition):
    """One journey: a person enters when the trigger fires, and is in it once at a time.

    Steps in the order written, unless `then` names another; after the last it ends. `exit_on`: an event after entering that
    ends it; `exit_when`: a rule that ends it, as soon as a step is reached with the rule holding. What is not sent by
    then is taken back. `re_entry` as with triggers: whether a person may go through again.
    """

    start: Name
    steps: dict[Name, AnyStep] = Field(min_length=1, max_length=50)
    exit_on: Matched | None = None
    exit_when: Rule | None = None
    re_entry: ReEntry = "once"
    purpose: Purpose = "marketing"
    expires: Duration = Field(description="How long a message may still be sent after its step was reached")
    rank: Annotated[int, Field(ge=1, le=1000)] = 200

    def next_steps(self, name: str) -> list[str]:
        """Where a step may lead; END when it may end there."""
        step = self.steps[name]
        if isinstance(step, Exit):
            return [END]
        if isinstance(step, Branch):
            return [*(way.then for way in step.branch), step.otherwise]
        return [step.then or self._after(name)]

    def _after(self, name: str) -> str:
        names = list(self.steps)
        place = names.index(name) + 1
        return names[place] if place < len(names) else END
