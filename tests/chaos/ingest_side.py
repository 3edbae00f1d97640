"""The lives and deaths of the ingest service."""

import random
import time
from collections.abc import Callable

from chaos.processes import Checkpoint, Child, Children, DrillError
from jobs.core.settings import Settings
from jobs.ingest.balance import in_flight
from jobs.ingest.landing.log import log_folder
from jobs.lake.delta import read, row_count

EVERY = "1 seconds"
BATCH_SECONDS = 240  # the first batch of a cold JVM on a busy machine, and what stood before it
BATCH_BEGUN = b": judging"  # the service's own word that a micro-batch of silver is at work
LONGEST_PAUSE = 10.0  # into a batch, before it is killed
RUN_SECONDS = 1_800


class IngestSide:
    """Starts `c360 ingest run --continuous` and ends it in every way that the drill knows; counts what it did."""

    def __init__(self, children: Children, settings: Settings, chance: random.Random) -> None:
        self._children, self._settings, self._chance = children, settings, chance
        self.silver = Checkpoint(settings.checkpoints / "silver")
        self.bronze = Checkpoint(settings.checkpoints / "bronze")
        self.killed = self.killed_at_work = self.removed = 0
        self.fired: list[str] = []

    def kill_at_work(self) -> str:
        """Starts, waits until a micro-batch is at work, and kills it there; every second time without its JVM."""
        child = self._start()
        self._wait(child, lambda: BATCH_BEGUN in child.log.read_bytes())
        time.sleep(self._chance.uniform(0, LONGEST_PAUSE))
        self._kill(child, leaves_jvm=self.killed_at_work % 2 == 1)  # as `kill -9 <pid>` or the kernel's OOM killer does
        at_work = self.silver.is_at_work or self.bronze.is_at_work
        self.killed_at_work += at_work
        return f"killed in silver batch {self.silver.begun}" if at_work else f"killed after batch {self.silver.begun}"

    def kill_at_rest(self) -> str:
        """Starts, waits until all that landed is through, kills, and removes the newest commit of both streams."""
        child = self._start()
        self._wait(child, self.is_drained)
        self._kill(child)
        numbers = self.bronze.forget_newest_commit(), self.silver.forget_newest_commit()
        self.removed += len(numbers)
        return f"killed at rest, removed commits/{numbers[0]} of bronze and commits/{numbers[1]} of silver"

    def die_at(self, failpoint: str) -> str:
        """Starts with a failpoint and waits until it has fired."""
        return self._fire(self._start(fail_at=failpoint), failpoint)

    def die_sealing(self, failpoint: str) -> str:
        """The same for a failpoint of sealing, which is met before Spark starts."""
        self._wait(None, self._has_segment)
        child = self._children.start("seal", "ingest", "run", fail_at=failpoint)
        return self._fire(child, failpoint)

    def drain(self, **settings: str) -> int:
        """`c360 ingest run`, to its end; the exit code."""
        return self._children.start("drain", "ingest", "run", **settings).finish(RUN_SECONDS)

    def is_drained(self) -> bool:
        """Whether everything in the landing log is through both streams, and both are at rest."""
        if self.silver.is_at_work or self.bronze.is_at_work or any(log_folder(self._settings).glob("[!.]*")):
            return False
        sealed = sum(read(self._settings, "ops_landing_manifest", ["row_count"]).column("row_count").to_pylist())
        return sealed == row_count(self._settings, "bronze_messages") and not in_flight(self._settings)

    def _has_segment(self) -> bool:
        # A segment whose collector was killed is still called `.open`; sealing takes it all the same.
        return any(log_folder(self._settings).glob("[!.]*"))

    def _start(self, **settings: str) -> Child:
        return self._children.start("ingest", "ingest", "run", "--continuous", "--every", EVERY, **settings)

    def _kill(self, child: Child, *, leaves_jvm: bool = False) -> None:
        if not child.kill(leaves_jvm=leaves_jvm):
            raise DrillError(f"the ingest service was dead before it was killed: {child.tail()}")
        self.killed += 1

    def _fire(self, child: Child, failpoint: str) -> str:
        if not child.died_by_itself(BATCH_SECONDS):
            raise DrillError(f"{failpoint} did not fire: {child.tail()}")
        self.fired.append(failpoint.partition(":")[0])
        return f"died at {failpoint} (silver batch {self.silver.begun} begun, {self.silver.committed} committed)"

    def _wait(self, child: Child | None, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + BATCH_SECONDS
        while not condition():
            if child is not None and not child.is_alive:
                raise DrillError(f"the ingest service died of its own accord: {child.tail()}")
            if time.monotonic() > end:
                raise DrillError(f"waited {BATCH_SECONDS} s in vain: {child.tail() if child else 'no segment landed'}")
            time.sleep(0.05)
