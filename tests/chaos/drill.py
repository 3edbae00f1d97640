"""The crash drill: events over real HTTP, both services killed again and again, then every table against the ledger."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from chaos.checker import Checker, Verdict
from chaos.collector_side import CollectorKeeper
from chaos.ingest_side import IngestSide
from chaos.lake_rows import beside_silver, found_rows, longest_repeat_days
from chaos.ledger import Tally, tally
from chaos.messages import SOURCE, Client, crowd
from chaos.processes import Children, DrillError, balance, free_port
from chaos.sender import Feed, Sender
from chaos.tiers import (
    COLLECTOR_FAILPOINTS,
    STREAM_FAILPOINTS,
    Tier,
    collector_deaths,
    seal_failpoints,
    stream_failpoints,
)
from jobs.core.clock import Clock
from jobs.core.settings import Settings
from jobs.ingest.collector.keys import KeyKind, create_key
from jobs.ingest.landing.files import LOG_SOURCE

# A life of the ingest service is a few small batches in a cold JVM: Spark interprets its plans instead of compiling them
# for longer than they run. What is proven, the order of the commits, is the same.
JAVA = "-XX:TieredStopAtLevel=1 -Dspark.sql.codegen.wholeStage=false -Dspark.sql.codegen.factoryMode=NO_CODEGEN"
SPARK = {"C360_SPARK_DRIVER_MEMORY": "2g", "C360_SHUFFLE_PARTITIONS": "1", "JAVA_TOOL_OPTIONS": JAVA}
LAST_SHARE = 0.1  # of the events, sent after the last death of the ingest service
IDLE_SECONDS = 600
Say = Callable[[str], None]


@dataclass
class Report:
    """What the drill did and found; `problems` make it red beside the verdict."""

    verdict: Verdict
    sent: Tally
    fired: list[str]
    figures: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def is_green(self) -> bool:
        """Whether every promise held and everything that was to happen did."""
        return self.verdict.is_clean and not self.problems


class Crew:
    """The senders of one run: all threads of this process, which is never killed."""

    def __init__(self, clients: list[Client], folder: Path, *, port: int, key: str) -> None:
        self.clients = clients
        self.feed = Feed(clients)
        self.folder = folder
        self._senders = [Sender(c, self.feed, port=port, key=key, folder=folder) for c in clients]

    def start(self) -> None:
        """They wait for what is released."""
        for sender in self._senders:
            sender.start()

    def finish(self) -> None:
        """Waits until everything is acknowledged."""
        self.feed.release_all()
        if not self.feed.wait_idle(IDLE_SECONDS):
            raise DrillError(f"only {self.feed.acked} of {self.feed.total} messages were acknowledged")
        for sender in self._senders:
            sender.join(IDLE_SECONDS)


def run_drill(tier: Tier, seed: int, settings: Settings, say: Say) -> Report:
    """The whole of it; raises DrillError when something that must happen does not."""
    chance, begun = random.Random(seed), time.monotonic()
    children = Children(settings, settings.home / "chaos" / "output", dict(SPARK))
    _, key = create_key(settings, SOURCE, KeyKind.SERVER, Clock().now())
    port = free_port()
    clients = crowd(seed, f"r{seed}", tier.clients, tier.events)
    crew = Crew(clients, settings.home / "chaos" / "ledger", port=port, key=key)
    keeper = CollectorKeeper(children, crew.feed, collector_deaths(tier, chance), port)
    ingest = IngestSide(children, settings, chance)
    with ended(children):
        keeper.start()
        crew.start()
        _rounds(tier, chance, crew.feed, ingest, lambda text: say(f"{text} · {_progress(crew, keeper)}"))
        crew.finish()
        keeper.stop()
        say(f"everything is acknowledged; draining · {_progress(crew, keeper)}")
        code = ingest.drain()
        say("checking")
        report = _judged(tier, crew, settings, keeper, ingest)
        if code:
            report.problems.append(f"the draining run ended with {code}")
        report.problems += _balance_problems(children, report)
        report.figures["seconds"] = round(time.monotonic() - begun)
    return report


@contextmanager
def ended(children: Children) -> Iterator[None]:
    """Whatever happens, no child stays."""
    try:
        yield
    finally:
        children.end_all()


def _rounds(tier: Tier, chance: random.Random, feed: Feed, ingest: IngestSide, say: Say) -> None:
    """Each with events of its own before each life of the ingest service."""
    named, sealing = stream_failpoints(tier, chance), seal_failpoints(tier)
    steps: list[Callable[[], str]] = []
    for number, failpoint in enumerate(named):
        steps.append(ingest.kill_at_work)
        for _ in range(_due(len(sealing), number, tier.rounds)):
            steps.append(_call(ingest.die_sealing, sealing.pop(0)))
        steps.append(ingest.kill_at_rest)
        steps.append(_call(ingest.die_at, failpoint))
    share = int(tier.events * (1 - LAST_SHARE) / len(steps))
    for number, step in enumerate(steps, 1):
        feed.release(share)
        if step == ingest.kill_at_rest and not feed.wait_idle(IDLE_SECONDS):
            raise DrillError("the senders do not come to rest")
        say(f"ingest {number}/{len(steps)}: {step()}")


def _due(left: int, number: int, rounds: int) -> int:
    """How many of those left are met in this round, so that all are by the end."""
    return -(-left // (rounds - number))


def _call(act: Callable[[str], str], failpoint: str) -> Callable[[], str]:
    return lambda: act(failpoint)


def _progress(crew: Crew, keeper: CollectorKeeper) -> str:
    return f"collector deaths {keeper.deaths} · acked {crew.feed.acked:,} of {crew.feed.total:,}"


def checked(clients: list[Client], sent: Tally, settings: Settings) -> Verdict:
    """The checker's verdict over the tables; what stands beside silver counts in."""
    fresh = [client.again() for client in clients]
    messages = {message.seq: message for message in chain(*(client.messages() for client in fresh))}
    checker = Checker(messages.values(), sent)
    checker.take(found_rows(settings))
    verdict = checker.judge()
    doubled, missing = beside_silver(settings)
    if doubled:
        verdict.blame("duplicated", f"{doubled} rows of silver_identifiers", doubled)
    if missing:
        verdict.blame("lost", f"{missing} events have no row in silver_identifiers", missing)
    return verdict


def _judged(tier: Tier, crew: Crew, settings: Settings, keeper: CollectorKeeper, ingest: IngestSide) -> Report:
    sent = tally(crew.folder)
    verdict = checked(crew.clients, sent, settings)
    report = Report(verdict, sent, [*keeper.fired, *ingest.fired])
    report.figures = {
        "kills": keeper.killed + ingest.killed,
        "kills_of_collector": keeper.killed,
        "kills_of_ingest": ingest.killed,
        "kills_in_a_batch": ingest.killed_at_work,
        "commits_removed": ingest.removed,
        "failpoints_fired": len(report.fired),
        "repeats": verdict.repeats,
        "longest_repeat_days": longest_repeat_days(settings),
        "retried": sent.retries,
        "cut_requests": sent.requests["cut"],
        "on_their_way": verdict.on_their_way,
    }
    # One request of each client is on its way at a death, and on a busy machine its repeat may meet the dying collector too.
    report.problems += _shortfalls(tier, report, 2 * keeper.deaths * tier.clients)
    return report


def _shortfalls(tier: Tier, report: Report, most_cut: int) -> list[str]:
    """What the drill was to do and did not: then its zeros prove nothing."""
    figures, verdict, wrong = report.figures, report.verdict, []
    if verdict.attempted != tier.events or verdict.acked != tier.events:
        wrong.append(f"{verdict.attempted} attempted and {verdict.acked} acknowledged of {tier.events}")
    if figures["kills"] != tier.kills:
        wrong.append(f"{figures['kills']} kills of {tier.kills}")
    expected = {*COLLECTOR_FAILPOINTS} | ({*STREAM_FAILPOINTS} if tier.rounds >= len(STREAM_FAILPOINTS) else set())
    if missing := sorted(expected - set(report.fired)):
        wrong.append(f"not fired: {', '.join(missing)}")
    if not figures["kills_in_a_batch"]:
        wrong.append("no kill met a micro-batch at work")
    if report.sent.requests["cut"] > most_cut:
        wrong.append(
            f"{report.sent.requests['cut']} requests were cut, more than twice clients times deaths ({most_cut})"
        )
    if not verdict.repeats:
        wrong.append("no repeat was dropped")
    return wrong


def _balance_problems(children: Children, report: Report) -> list[str]:
    """The conservation law, by the product's own command, against the checker's count."""
    rows = {str(row["source"]): row for row in balance(children)}
    row, torn = rows.pop(SOURCE), rows.pop(LOG_SOURCE, {"received": 0, "quarantined": 0})
    report.figures["torn_lines"] = torn["received"]
    verdict = report.verdict
    pairs = {
        "accepted": verdict.silver, "quarantined": verdict.quarantine, "suppressed": verdict.suppressed,
        "duplicate": verdict.repeats, "in_flight": 0,
    }  # fmt: skip
    report.figures["balance"] = " ".join(f"{name}={row[name]}" for name in ("received", *pairs))
    problems = [f"the balance knows a source {name}" for name in rows]
    if torn["received"] != torn["quarantined"]:
        problems.append(f"of {torn['received']} torn lines {torn['quarantined']} are in quarantine")
    return problems + [
        f"balance says {name}={row[name]}, the checker {count}" for name, count in pairs.items() if row[name] != count
    ]
