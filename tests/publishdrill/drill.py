"""The drill: publishers that are killed one after the other, readers that must not notice, and the sum of it."""

import json
import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.core.failpoints import Failpoint
from jobs.core.settings import Settings
from jobs.warehouse.doctor import diagnose
from publishdrill.builds import pass_gate
from publishdrill.publisher import publish_on, published_number
from publishdrill.readers import build_name, read_on

FAILPOINTS = (
    Failpoint.BEFORE_CHECKPOINT,
    Failpoint.AFTER_CHECKPOINT_BEFORE_SYNC,
    Failpoint.AFTER_SYNC_BEFORE_REPLACE,
    Failpoint.AFTER_REPLACE_BEFORE_SIDECAR,
)
MOST_LAG = 2
LIFE_SECONDS = 300


@dataclass(frozen=True)
class Plan:
    """How much of it."""

    publishes: int
    kills: int
    readers: int = 4
    rows: int = 2_000
    pause: float = 0.0  # seconds of a reader between two reads


@dataclass
class Report:
    """What happened; `problems` make it red."""

    kills: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    builds_seen: int = 0
    lag: int = 0
    published: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """The figures, in one line."""
        counts = self.counts
        return (
            f"publishes={self.published} kills={self.kills.total()} reads={counts['reads']} torn={counts['torn']} "
            f"errors={counts['errors']} builds_seen={self.builds_seen} most_builds_behind={self.lag} "
            f"seconds={self.seconds:.0f}"
        )


def run_drill(settings: Settings, plan: Plan, seed: int, say: Callable[[str], None] = lambda _: None) -> Report:
    """The whole of it, below the home of `settings`; processes of ours do not outlive it."""
    begun, report = time.monotonic(), Report()
    folder = settings.home / "drill"
    folder.mkdir()
    pass_gate(settings, *(build_name(number) for number in range(1, plan.publishes + 1)))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["publishdrill.publisher"])
    publish_on(settings, folder, 1, plan.rows)
    readers = [
        processes.Process(target=read_on, args=(settings, folder, number, plan.rows, plan.pause), daemon=True)
        for number in range(plan.readers)
    ]
    for reader in readers:
        reader.start()
    try:
        for life, failpoint in enumerate(_deaths(plan, seed)):
            own = _until(settings, failpoint)
            publisher = processes.Process(target=publish_on, args=(own, folder, plan.publishes, plan.rows), daemon=True)
            publisher.start()
            publisher.join(LIFE_SECONDS)
            _note(report, failpoint, publisher.exitcode)
            at, done = time.monotonic() - begun, published_number(settings)
            say(f"{at:4.0f} s  life {life + 1}: {failpoint or 'no failpoint'}, {done} published")
            publisher.kill()
    finally:
        (folder / "stop").touch()
        for reader in readers:
            reader.join(LIFE_SECONDS)
            reader.kill()
    _judge(settings, plan, report)
    report.seconds = time.monotonic() - begun
    return report


def _deaths(plan: Plan, seed: int) -> list[str | None]:
    """`name:turn` for each life that ends early, every failpoint as often as the others; the last life ends by itself."""
    chance = random.Random(seed)
    names = [FAILPOINTS[number % len(FAILPOINTS)] for number in range(plan.kills)]
    chance.shuffle(names)
    longest = max(1, plan.publishes // (plan.kills + 1))
    return [*(f"{name}:{chance.randint(1, longest)}" for name in names), None]


def _until(settings: Settings, failpoint: str | None) -> Settings:
    more = {"fail_at": failpoint, "testing": True} if failpoint else {}
    return settings.model_copy(update=more)


def _note(report: Report, failpoint: str | None, code: int | None) -> None:
    if failpoint and code == -signal.SIGKILL:
        report.kills[failpoint.partition(":")[0]] += 1
    elif failpoint or code:
        report.problems.append(f"a publisher with {failpoint or 'no failpoint'} ended with {code}")


def _judge(settings: Settings, plan: Plan, report: Report) -> None:
    report.published = published_number(settings)
    builds: set[int] = set()
    for number in range(plan.readers):
        file = settings.home / "drill" / f"reader-{number}.json"
        if not file.exists():
            report.problems.append(f"reader {number} did not live to tell")
            continue
        told = json.loads(file.read_text())
        report.counts.update(told["counts"])
        report.lag = max(report.lag, told["lag"])
        report.problems += [f"reader {number}: {what}: {why}" for what, why in told["first"].items()]
        builds |= set(told["builds"])
        if len(told["builds"]) < 2:
            report.problems.append(f"reader {number} saw {len(told['builds'])} builds")
    report.builds_seen = len(builds)
    if report.lag > MOST_LAG:
        report.problems.append(f"a read was {report.lag} builds behind")
    if report.published != plan.publishes:
        report.problems.append(f"{report.published} of {plan.publishes} builds were published")
    if report.kills.total() != plan.kills or (plan.kills >= len(FAILPOINTS) and len(report.kills) != len(FAILPOINTS)):
        report.problems.append(f"kills: {dict(report.kills)}, planned {plan.kills} at {len(FAILPOINTS)} places")
    report.problems += [f"doctor: {finding}" for finding in diagnose(settings)]
