"""P1: a 200 means that the bytes are on disk. Crashes at every named place, power cuts, full disks, and a proof that the
tests would notice an answer given too early."""

import errno
import json
import os
import random
import resource
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crowd import Crowd, Ledger, in_log, judge
from doorkit import Door, Process, event, launch, process, wait_until
from settingskit import make_settings

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.ingest.landing.log import Received, Torn, decode, log_folder
from jobs.ingest.landing.log_writer import Disk

FAST_ROTATION = {"testing": "1", "collector_rotate_seconds": "0.1"}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(make_settings(tmp_path / "home", now=None), Clock(), "test")


# ---- kill -9


@pytest.mark.parametrize(
    "place", ["after_receive:60", "after_write_before_fsync:40", "after_fsync_before_reply:40", "during_rotate:2"]
)
def test_killed_at_a_named_place(context: Context, place: str) -> None:
    ledger = Ledger()
    with process(context, fail_at=place, **FAST_ROTATION) as door, Crowd(door, ledger) as crowd:
        crowd.run(20)
        assert door.process.wait(10) == -9
    found = in_log(door)
    verdict = judge(ledger, found)
    assert verdict.is_clean, verdict
    assert verdict.torn <= 1
    assert len(ledger.acked) > 20
    assert len(found) - len(ledger.acked) <= 8 + 1  # recovered: at most what was on its way


def test_killed_at_random_and_started_again(context: Context) -> None:
    ledger, chance = Ledger(), random.Random(20180102)
    door = Process(context.settings)
    door.make_keys(context)
    for turn in range(3):
        with launch(door, FAST_ROTATION), Crowd(door, ledger, first=turn * 100_000_000) as crowd:
            crowd.run(chance.uniform(0.05, 0.4))
            door.kill()
    with launch(door, FAST_ROTATION):
        assert door.post("/v1/track", event(0, event="the last one")).status == 200
        assert door.terminate() == 0
    found = in_log(door)
    ledger.attempted.add(json.dumps(event(0, event="the last one")))
    verdict = judge(ledger, found)
    assert verdict.is_clean, verdict
    assert len(ledger.acked) > 50
    assert verdict.torn <= 3


# ---- power cuts: what was not synced is gone


class ForgetfulDisk(Disk):
    """Loses its power at the `cut`-th sync: whatever was not synced by then is gone, and nothing works any more.

    `survivors` is what a machine finds when it starts again.
    """

    def __init__(self, folder: Path, cut: int) -> None:
        self._folder, self._cut = folder, cut
        self._synced: dict[int, int] = {}
        self._named: set[int] = set()
        self.survivors: bytes | None = None

    def write(self, descriptor: int, data: bytes) -> None:
        self._raise_if_dead()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._raise_if_dead()
        self._cut -= 1
        if self._cut == 0:
            self._lose_power()
        super().sync(descriptor)
        self._synced[os.fstat(descriptor).st_ino] = os.fstat(descriptor).st_size

    def sync_folder(self, path: Path) -> None:
        self._raise_if_dead()
        super().sync_folder(path)
        self._named |= {entry.stat().st_ino for entry in path.iterdir()}

    def _lose_power(self) -> None:
        left = b""
        for path in sorted(self._folder.iterdir()):
            inode = path.stat().st_ino
            if inode in self._named:
                left += path.read_bytes()[: self._synced.get(inode, 0)]
        self.survivors = left
        self._raise_if_dead()

    def _raise_if_dead(self) -> None:
        if self.survivors is not None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def cut_power(open_door: Any, tmp_path: Path, cut: int, **settings: Any) -> tuple[Ledger, list[Received | Torn]]:
    """A crowd sends until the power goes; returns the ledger and what survived."""
    disk = ForgetfulDisk(tmp_path / "home0" / "landing_log", cut)
    door = open_door(disk=disk, collector_rotate_seconds=0.05, **settings)
    ledger = Ledger()
    with Crowd(door, ledger) as crowd:
        wait_until(lambda: disk.survivors is not None)
        crowd.run(0.05)
    assert disk.survivors is not None
    return ledger, [decode(line) for line in disk.survivors.splitlines(keepends=True)]


@pytest.mark.parametrize("cut", [1, 2, 3, 30, 101])
def test_a_power_cut_loses_nothing_acknowledged(open_door: Any, tmp_path: Path, cut: int) -> None:
    ledger, found = cut_power(open_door, tmp_path, cut)
    verdict = judge(ledger, found)
    assert verdict.is_clean, verdict
    assert ledger.statuses[503] > 0
    assert (cut < 3) or ledger.acked


def test_sabotage_an_answer_before_fsync_is_noticed(open_door: Any, tmp_path: Path) -> None:
    """The same power cut with the protection left out: the check goes red."""
    ledger, found = cut_power(open_door, tmp_path, 30, testing=True, sabotage="reply_before_fsync")
    assert judge(ledger, found).lost > 0


# ---- 6A 20: disks that fill up, stall or fail; signals; clocks that step


def test_20_a_full_disk_is_answered_503_and_recovers_alone(context: Context) -> None:
    ledger = Ledger()
    with process(context, **FAST_ROTATION) as door:
        pid, (_, hard) = door.process.pid, resource.prlimit(door.process.pid, resource.RLIMIT_FSIZE)
        with Crowd(door, ledger) as crowd:
            crowd.run(0.3)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (700, hard))  # a line and a half
            crowd.run(0.3)
        answer = door.post("/v1/batch", {"batch": [{"filler": "x" * 100}] * 20})
        assert (answer.status, answer.code) == (503, "unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert door.request("GET", "/health").status == 503
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
        with Crowd(door, ledger, first=100_000_000) as crowd:
            crowd.run(0.1)
        assert door.request("GET", "/health").status == 200
        assert door.terminate() == 0
    verdict = judge(ledger, in_log(door))
    assert verdict.is_clean, verdict
    assert verdict.torn == 0
    assert ledger.statuses[503] > 0
    assert set(ledger.statuses) == {200, 503}


def test_20_sigterm_finishes_what_was_accepted(context: Context) -> None:
    ledger = Ledger()
    with process(context, collector_rotate_seconds="60") as door, Crowd(door, ledger, senders=16) as crowd:
        crowd.run(0.5)
        assert door.terminate() == 0
    assert [path.suffix for path in log_folder(context.settings).iterdir()] == [".log"]
    verdict = judge(ledger, in_log(door))
    assert verdict.is_clean, verdict
    assert verdict.torn == 0
    assert set(ledger.statuses) <= {200, 503}


class StallingDisk(Disk):
    """Does not come back from a sync until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def sync(self, descriptor: int) -> None:
        self.go.wait(20)
        super().sync(descriptor)


def test_20_a_stalled_disk_fills_the_queue_and_then_503(open_door: Any) -> None:
    disk = StallingDisk()
    door = open_door(disk=disk, collector_queue_bytes=1 << 20)
    large = {"batch": [event(number, filler="x" * 1000) for number in range(300)]}
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(door.post("/v1/batch", large).status)) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_until(lambda: 503 in statuses)
    assert 200 not in statuses  # nobody is told yes while nothing is on disk
    disk.go.set()
    for thread in threads:
        thread.join(20)
    assert set(statuses) == {200, 503}
    assert len(door.new()) == 300 * statuses.count(200)


class BuggyDisk(Disk):
    """Fails in a way that nobody thought of, once."""

    def __init__(self) -> None:
        self.is_broken = True

    def sync(self, descriptor: int) -> None:
        if self.is_broken:
            self.is_broken = False
            raise RuntimeError("nobody thought of this")
        super().sync(descriptor)


def test_an_unforeseen_failure_is_no_yes_and_no_silence(open_door: Any) -> None:
    door = open_door(disk=BuggyDisk())
    assert door.post("/v1/track", event(1)).status == 503
    assert door.post("/v1/track", event(2)).status == 200


class SteppingClock(Clock):
    """Goes back a day after the first few looks."""

    looks = 0

    def now(self) -> datetime:
        SteppingClock.looks += 1
        return datetime.now(UTC) - timedelta(days=SteppingClock.looks > 3)  # noqa: TID251


def test_20_a_clock_that_goes_back_a_day(open_door: Any) -> None:
    door = open_door(clock=SteppingClock(), collector_rotate_seconds=0.01)
    for number in range(10):
        assert door.post("/v1/track", event(number)).status == 200
        time.sleep(0.03)
    names = [json.loads(text)["messageId"] for text in door.payloads()]
    assert names == [f"m{number}" for number in range(10)]  # segments still sort as they were written


# ---- the door under a crowd


def test_a_crowd_is_answered_from_one_log(door: Door) -> None:
    ledger = Ledger()
    door.new()
    with Crowd(door, ledger, senders=20) as crowd:
        crowd.run(1.0)
    verdict = judge(ledger, door.new())
    assert verdict.is_clean, verdict
    assert set(ledger.statuses) == {200}
    assert ledger.acked == ledger.attempted
