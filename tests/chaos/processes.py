"""The real commands as children: each a session of its own, so that a kill takes its JVM along, as a power cut does."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jobs.core.settings import Settings, bin_path

KILLED = -signal.SIGKILL
END_SECONDS = 60


class DrillError(Exception):
    """The drill could not do what it must: it is red."""


@dataclass
class Children:
    """Starts children of one home; keeps their output in files, and ends what is left at the end."""

    settings: Settings
    logs: Path
    environment: dict[str, str] = field(default_factory=dict)
    _all: list["Child"] = field(default_factory=list)
    _is_over: bool = False

    def start(self, name: str, *arguments: str, **settings: str) -> "Child":
        """`c360 <arguments>` with `C360_<NAME>` set for each keyword."""
        if self._is_over:
            raise DrillError("the drill is over; nothing is started any more")
        given = {f"C360_{key.upper()}": value for key, value in settings.items()}
        if "fail_at" in settings or "sabotage" in settings:
            given["C360_TESTING"] = "1"
        variables = self.settings.child_environment | self.environment | given
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{len(self._all):03d}-{name}.log"
        with path.open("wb") as output:
            process = subprocess.Popen(
                [bin_path("c360"), *arguments],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._all.append(Child(process, path))
        return self._all[-1]

    def end_all(self) -> None:
        """Nothing of ours stays, and nothing new comes."""
        self._is_over = True
        for child in self._all:
            child.sweep()


@dataclass
class Child:
    """One process group."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self, *, leaves_jvm: bool = False) -> bool:
        """SIGKILL for the whole group, or for the command alone, whose JVM is left to notice; whether it lived until then."""
        was_alive = self.is_alive
        if leaves_jvm:
            self.process.kill()
        else:
            self.sweep()
        self.process.wait(END_SECONDS)
        return was_alive and self.process.returncode == KILLED

    def sweep(self) -> None:
        """SIGKILL for whatever is left of the group."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def died_by_itself(self, seconds: float, while_: Callable[[], bool] = lambda: True) -> bool:
        """Waits for the failpoint; True when the process has killed itself. Its JVM goes with it."""
        end = time.monotonic() + seconds
        while self.is_alive and time.monotonic() < end and while_():
            time.sleep(0.02)
        fired = self.process.poll() == KILLED
        self.sweep()
        return fired

    def finish(self, seconds: float) -> int:
        """Waits for its own end; the exit code."""
        return self.process.wait(seconds)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_SECONDS)

    def tail(self) -> str:
        """The end of what it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-1500:]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def newest(folder: Path) -> int:
    """The highest batch number in a `commits` or `offsets` folder; -1 when there is none."""
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return max((int(name) for name in names if name.isdigit()), default=-1)


@dataclass(frozen=True)
class Checkpoint:
    """One stream's checkpoint, looked at and operated on from outside."""

    folder: Path

    @property
    def begun(self) -> int:
        return newest(self.folder / "offsets")

    @property
    def committed(self) -> int:
        return newest(self.folder / "commits")

    @property
    def is_at_work(self) -> bool:
        """Whether a micro-batch has begun and is not committed."""
        return self.begun > self.committed

    def forget_newest_commit(self) -> int:
        """Removes it: Spark will deliver that batch again. Only where all batches are committed, or it would not."""
        number = self.committed
        if number < 0 or self.is_at_work:
            raise DrillError(
                f"{self.folder.name}: batch {self.begun} begun, {number} committed: nothing to deliver again"
            )
        commits = self.folder / "commits"
        (commits / str(number)).unlink()
        (commits / f".{number}.crc").unlink(missing_ok=True)
        return number


def balance(children: Children) -> list[dict[str, object]]:
    """`c360 ops balance --json`; DrillError when it says that the sum is off."""
    child = children.start("balance", "ops", "balance", "--json")
    code = child.finish(END_SECONDS)
    if code:
        raise DrillError(f"c360 ops balance ended with {code}: {child.tail()}")
    lines = child.log.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, object]] = json.loads(next(line for line in lines if line.startswith("[")))
    return rows
