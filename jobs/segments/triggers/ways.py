"""The ways through a journey, before anybody goes them: every step can be reached, and every way ends."""

from collections.abc import Iterator

from jobs.core.command import hint
from jobs.core.explained import Found, Place
from jobs.segments.language.journeys import END, Branch, Journey, Send, Wait
from jobs.segments.language.order import order


def way_findings(journey: Journey) -> Iterator[Found]:
    """Steps that are named and not there, that nobody reaches, or that go round in a circle."""
    missing = list(_missing(journey))
    yield from missing
    if missing:
        return
    ways = {name: set(journey.next_steps(name)) - {END} for name in journey.steps}
    _, circles = order(ways)
    for circle in circles:
        yield Found(("steps", circle[0]), f"it never ends: {' → '.join(circle)}; end a way with `then: end`")
    reached, open_ = set(), [next(iter(journey.steps))]
    while open_:
        name = open_.pop()
        if name not in reached:
            reached.add(name)
            open_ += ways[name]
    for name in journey.steps:
        if name not in reached:
            yield Found(("steps", name), f"nobody reaches step {name}: name it in a `then`")
    if not any(isinstance(step, Send) for step in journey.steps.values()):
        yield Found(("steps",), "it sends nothing")


def _missing(journey: Journey) -> Iterator[Found]:
    if END in journey.steps:
        yield Found(("steps", END), f"{END} is the end of every journey; take another name")
    known = [*journey.steps, END]
    for name in journey.steps:
        for place, wanted in _named(journey, name):
            if wanted not in known:
                yield Found(("steps", name, *place), f"unknown step {wanted!r}.{hint(wanted, known)}")


def _named(journey: Journey, name: str) -> Iterator[tuple[Place, str]]:
    """Where a step leads, as it is written."""
    step = journey.steps[name]
    if isinstance(step, Branch):
        yield from ((("branch", place, "then"), way.then) for place, way in enumerate(step.branch))
        yield ("otherwise",), step.otherwise
    elif isinstance(step, Send | Wait) and step.then:
        yield ("then",), step.then
