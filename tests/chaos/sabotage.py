"""Proof that the drill can fail: the same small story with one protection taken out, which the checker must see.

The story, deterministic: half of the events, a death after all tables are written and before Spark notes it, another
after Spark has noted it, then the other half. With everything in place the line is clean.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from settingskit import make_settings

from chaos.checker import Verdict
from chaos.collector_side import CollectorKeeper
from chaos.drill import IDLE_SECONDS, SPARK, Crew, Say, checked, ended
from chaos.ledger import tally
from chaos.messages import SOURCE, Mix, crowd
from chaos.processes import Children, DrillError, free_port
from jobs.core.clock import Clock
from jobs.core.failpoints import Failpoint, Sabotage
from jobs.core.settings import Settings
from jobs.ingest.collector.keys import KeyKind, create_key
from jobs.ingest.landing.log import log_folder

EVENTS, CLIENTS = 3_000, 4
MIX = Mix(odd_times=0.05)
RUN_SECONDS = 300
BEFORE_COMMIT = str(Failpoint.AFTER_QUARANTINE_BEFORE_SPARK_COMMIT)
AFTER_COMMIT = str(Failpoint.AFTER_COMMIT)


class Stage:
    """What was sent, once, in two halves; and homes to play a story in."""

    def __init__(self, seed: int, place: Path) -> None:
        self._place = place
        self._clients = crowd(seed, f"s{seed}", CLIENTS, EVENTS, MIX)
        self._home = place / "sent"

    def prepare(self) -> None:
        """Sends everything to a collector that nobody disturbs."""
        settings = make_settings(self._home, now=None)
        children, port = Children(settings, self._home / "output"), free_port()
        _, key = create_key(settings, SOURCE, KeyKind.SERVER, Clock().now())
        crew = Crew(self._clients, self._home / "ledger", port=port, key=key)
        keeper = CollectorKeeper(children, crew.feed, [], port)
        with ended(children):
            keeper.start()
            crew.start()
            crew.feed.release(EVENTS // 2)
            if not crew.feed.wait_idle(IDLE_SECONDS):
                raise DrillError("the first half was not acknowledged")
            _put_aside(settings, self._place / "half-1")
            crew.finish()
            keeper.stop()
        _put_aside(settings, self._place / "half-2")

    def play(self, name: str, story: Callable[["Scene"], None]) -> Verdict:
        """The checker's verdict after the story, in a home of its own."""
        settings = make_settings(self._place / name, now=None)
        children = Children(settings, settings.home / "output", dict(SPARK))
        with ended(children):
            story(Scene(children, settings, self._place))
        return checked(self._clients, tally(self._home / "ledger"), settings)


@dataclass
class Scene:
    """One home in which a story is played."""

    children: Children
    settings: Settings
    place: Path

    def land(self, *halves: int) -> None:
        """Puts what was sent into the landing log."""
        log_folder(self.settings).mkdir(mode=0o700, exist_ok=True)
        for half in halves:
            for path in (self.place / f"half-{half}").iterdir():
                shutil.copy2(path, log_folder(self.settings) / path.name)

    def dies(self, failpoint: str, **settings: str) -> None:
        """A run that must end at the failpoint."""
        child = self.children.start("run", "ingest", "run", fail_at=failpoint, **settings)
        if not child.died_by_itself(RUN_SECONDS):
            raise DrillError(f"{failpoint} did not fire: {child.tail()}")

    def runs(self, **settings: str) -> None:
        """A run to its end; with a sabotage it may notice itself that the balance is off (1)."""
        child = self.children.start("run", "ingest", "run", **settings)
        code = child.finish(RUN_SECONDS)
        if code not in ((0, 1) if settings else (0,)):
            raise DrillError(f"the run ended with {code}: {child.tail()}")


def protected(scene: Scene) -> None:
    """Everything in place."""
    scene.land(1)
    scene.dies(BEFORE_COMMIT)
    scene.dies(AFTER_COMMIT)
    scene.land(2)
    scene.runs()


def no_version_check(scene: Scene) -> None:
    """P4: a batch that is delivered again is written again."""
    without = {"sabotage": str(Sabotage.NO_VERSION_CHECK)}
    scene.land(1, 2)
    scene.dies(BEFORE_COMMIT, **without)
    scene.runs(**without)


def quarantine_after_commit(scene: Scene) -> None:
    """P4: what is set aside is written when Spark has committed: a death between the two loses it."""
    without = {"sabotage": str(Sabotage.QUARANTINE_AFTER_COMMIT)}
    scene.land(1, 2)
    scene.dies(AFTER_COMMIT, **without)
    scene.runs(**without)


def event_time_watermark(scene: Scene) -> None:
    """P6: after one event of the year 2099 everything later is dropped without a word."""
    without = {"sabotage": str(Sabotage.EVENT_TIME_WATERMARK)}
    scene.land(1)
    scene.runs(**without)
    scene.land(2)
    scene.runs(**without)


# story → the figure that must not be 0
STORIES: dict[Callable[[Scene], None], str] = {
    no_version_check: "duplicated",
    quarantine_after_commit: "lost",
    event_time_watermark: "lost",
}


def run_sabotages(seed: int, place: Path, say: Say, names: tuple[str, ...] = ()) -> list[str]:
    """Plays all stories, or those named; what is wrong, which is nothing when each is told by its line."""
    stage, red = Stage(seed, place), []
    stage.prepare()
    if not names:
        verdict = stage.play("protected", protected)
        say(f"sabotage none: {verdict}")
        if not verdict.is_clean:
            red.append(f"with everything in place the line is not clean: {verdict.examples}")
    for story, figure in STORIES.items():
        if names and story.__name__ not in names:
            continue
        verdict = stage.play(story.__name__, story)
        caught = getattr(verdict, figure) > 0
        say(f"sabotage {story.__name__}: {'caught' if caught else 'NOT CAUGHT'}: {verdict}")
        if not caught:
            red.append(f"sabotage {story.__name__} went unnoticed: {figure}=0")
    return red


def _put_aside(settings: Settings, folder: Path) -> None:
    """Waits until the collector has sealed its segment, and moves what there is."""
    folder.mkdir(parents=True)
    end = time.monotonic() + IDLE_SECONDS
    while any(log_folder(settings).glob("*.open")):
        if time.monotonic() > end:
            raise DrillError("the collector does not seal its segment")
        time.sleep(0.05)
    for path in list(log_folder(settings).glob("*.log")):
        path.rename(folder / path.name)
