"""Keeps a collector running, ends it when its death is due, and starts the next: with its clock days later."""

import threading
import time
from datetime import timedelta

from chaos.messages import DAYS, START
from chaos.processes import Child, Children, DrillError
from chaos.sender import Feed
from chaos.tiers import CollectorDeath

ROTATE_SECONDS = "0.5"
START_SECONDS = 60
FIRE_SECONDS = 300
POLL_SECONDS = 0.5


class CollectorKeeper(threading.Thread):
    """All lives of the collector. `error` says why it gave up."""

    def __init__(self, children: Children, feed: Feed, deaths: list[CollectorDeath], port: int) -> None:
        super().__init__(name="collector-keeper", daemon=True)
        self._children, self._feed, self._deaths, self._port = children, feed, deaths, port
        self._ending = threading.Event()
        self.killed = 0
        self.fired: list[str] = []
        self.error: str | None = None

    def run(self) -> None:
        """Until every death has been died, then on until it is told to stop."""
        try:
            for number, death in enumerate(self._deaths):
                self._live(number, death)
            last = self._start(len(self._deaths), None)
            self._ending.wait()
            if last.terminate():
                raise DrillError(f"the collector did not end in order: {last.tail()}")
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
            self._feed.fail(self.error)

    def stop(self) -> None:
        """SIGTERM for the last one, after the last message."""
        self._ending.set()
        self.join(FIRE_SECONDS)
        if self.error or self.is_alive():
            raise DrillError(self.error or "the collector did not die all its deaths")

    @property
    def deaths(self) -> int:
        """So far."""
        return self.killed + len(self.fired)

    def _live(self, number: int, death: CollectorDeath) -> None:
        child = self._start(number, death.failpoint)
        if death.failpoint:
            if not child.died_by_itself(FIRE_SECONDS, lambda: self._feed.acked < self._feed.total):
                raise DrillError(f"{death.failpoint} did not fire: {child.tail()}")
            self.fired.append(death.failpoint.partition(":")[0])
            return
        while not self._feed.wait_acked(death.after, POLL_SECONDS):
            if not child.is_alive:
                raise DrillError(f"the collector died of its own accord: {child.tail()}")
        if not child.kill():
            raise DrillError(f"the collector was dead before it was killed: {child.tail()}")
        self.killed += 1

    def _start(self, number: int, failpoint: str | None) -> Child:
        day = START + timedelta(days=DAYS * number / max(1, len(self._deaths)))
        extra = {"fail_at": failpoint} if failpoint else {}
        child = self._children.start(
            "collector", "collector", "serve", "--port", str(self._port),
            now=day.isoformat(), collector_rotate_seconds=ROTATE_SECONDS, **extra,
        )  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while b"collector listens on" not in child.log.read_bytes():
            if not child.is_alive or time.monotonic() > end:
                if failpoint and not child.is_alive:
                    break  # it may have met its failpoint already
                raise DrillError(f"the collector did not start: {child.tail()}")
            time.sleep(0.02)
        return child
