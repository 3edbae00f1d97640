"""How much of everything: one table of parameters, and the plan of deaths that a seed makes of it."""

import random
from dataclasses import dataclass, replace

from jobs.core.failpoints import Failpoint

COLLECTOR_FAILPOINTS = (
    Failpoint.AFTER_RECEIVE,
    Failpoint.AFTER_WRITE_BEFORE_FSYNC,
    Failpoint.AFTER_FSYNC_BEFORE_REPLY,
    Failpoint.DURING_ROTATE,
)
SEAL_FAILPOINTS = (Failpoint.AFTER_SEAL_BEFORE_MANIFEST, Failpoint.AFTER_MANIFEST_BEFORE_RENAME)
# With the passing at which each fires: the first batch after a start is one that is delivered again, the second is new.
STREAM_FAILPOINTS = {
    Failpoint.AFTER_OFFSETS_BEFORE_WORK: 2,
    Failpoint.AFTER_SILVER_FILES_BEFORE_COMMIT: 1,  # a batch delivered again writes no files
    Failpoint.AFTER_SILVER_BEFORE_QUARANTINE: 2,
    Failpoint.AFTER_QUARANTINE_BEFORE_SPARK_COMMIT: 2,
    Failpoint.AFTER_COMMIT: 2,
}


@dataclass(frozen=True)
class Tier:
    """One line of the table.

    `rounds`: each is a kill while a micro-batch is at work, a kill at rest followed by the removal of the newest commit of
    both streams, and one stream failpoint. So rounds x 2 kills of the ingest service come to `collector_kills`.
    """

    name: str
    events: int
    clients: int
    rounds: int
    collector_kills: int
    collector_failpoints: int  # times each
    seal_failpoints: int  # times each
    minutes: int  # it is red beyond

    @property
    def kills(self) -> int:
        """Random kills of both services."""
        return self.collector_kills + 2 * self.rounds


TIERS = {
    "A": Tier("A", 100_000, 8, 5, 10, 1, 1, 20),
    "B": Tier("B", 1_000_000, 50, 25, 150, 25, 10, 90),
}


def sized(tier: Tier, *, events: int | None, rounds: int | None) -> Tier:
    """A smaller or larger one of the same kind, for work on the drill itself."""
    events, rounds = events or tier.events, rounds or tier.rounds
    return replace(tier, events=events, rounds=rounds)


@dataclass(frozen=True)
class CollectorDeath:
    """At `after` acknowledged messages by kill -9, or, with a failpoint, by itself at its Nth passing."""

    after: int
    failpoint: str | None = None

    @property
    def name(self) -> str:
        """For the log."""
        return self.failpoint or "kill -9"


def collector_deaths(tier: Tier, chance: random.Random) -> list[CollectorDeath]:
    """In the order they are due, spread over the first nine tenths of the run."""
    count = tier.collector_kills + tier.collector_failpoints * len(COLLECTOR_FAILPOINTS)
    step = 0.9 * tier.events / count
    due = [int(step * (number + chance.random())) for number in range(count)]
    named = [
        f"{place}:{_turn(place, chance)}" for place in COLLECTOR_FAILPOINTS for _ in range(tier.collector_failpoints)
    ]
    causes: list[str | None] = [*named, *[None] * tier.collector_kills]
    chance.shuffle(causes)
    return [CollectorDeath(after, cause) for after, cause in zip(due, causes, strict=True)]


def _turn(place: Failpoint, chance: random.Random) -> int:
    return 1 if place is Failpoint.DURING_ROTATE else chance.randint(1, 30)


def stream_failpoints(tier: Tier, chance: random.Random) -> list[str]:
    """One for each round: all of them before any comes again."""
    found: list[str] = []
    while len(found) < tier.rounds:
        turn = [f"{place}:{passing}" for place, passing in STREAM_FAILPOINTS.items()]
        chance.shuffle(turn)
        found += turn
    return found[: tier.rounds]


def seal_failpoints(tier: Tier) -> list[str]:
    """In turn; they are met between the deaths of the service."""
    return [str(place) for _ in range(tier.seal_failpoints) for place in SEAL_FAILPOINTS]
