"""Runs a command and tells wall seconds, CPU seconds and peak memory of its whole process tree, the JVM included."""

import subprocess
import time
from dataclasses import dataclass, field

import psutil

POLL_SECONDS = 0.1


@dataclass
class Usage:
    """What a process tree has used so far; a process that ended keeps what it had when last seen."""

    wall: float = 0.0
    peak_bytes: int = 0
    cpu_of: dict[int, float] = field(default_factory=dict)
    _seen: frozenset[int] = frozenset()

    @property
    def cpu(self) -> float:
        """CPU seconds, user and system, of all processes."""
        return sum(self.cpu_of.values())

    def look(self, root: psutil.Process) -> None:
        """One sample of the tree. Memory counts from the second look at a process: between its fork and its exec, a
        moment, a helper of the JVM shows the whole memory of the JVM as its own."""
        resident = 0
        try:
            tree = [root, *root.children(recursive=True)]
        except psutil.Error:
            return
        for process in tree:
            try:
                times = process.cpu_times()
                self.cpu_of[process.pid] = times.user + times.system
                resident += process.memory_info().rss if process.pid in self._seen else 0
            except psutil.Error:
                continue
        self._seen = frozenset(process.pid for process in tree)
        self.peak_bytes = max(self.peak_bytes, resident)

    def __str__(self) -> str:
        return f"{self.wall:7.1f} s wall  {self.cpu:7.1f} CPU-s  {self.peak_bytes / 2**20:7.0f} MiB peak"


def measured(command: list[str], environment: dict[str, str]) -> Usage:
    """Runs the command to its end; raises with its last lines when it fails."""
    usage, started = Usage(), time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        usage.look(root)
        time.sleep(POLL_SECONDS)
    usage.wall = time.perf_counter() - started
    output = process.stdout.read() if process.stdout else ""
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{output[-3000:]}")
    return usage
