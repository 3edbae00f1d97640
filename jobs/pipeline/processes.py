"""Starting and ending child processes so that nothing stays behind: a c360 task is a session leader of its own."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import psutil

GRACE_SECONDS = 10


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Everything below the process, whatever session it is in; empty when it has ended."""
    try:
        return list(psutil.Process(process.pid).children(recursive=True))
    except psutil.Error:
        return []


def terminate(process: subprocess.Popen[str], grace: float = GRACE_SECONDS) -> None:
    """Asks the process to end, gives it time to clean up, then ends what is left of it and below it."""
    below = descendants(process)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    _end(below, grace)


def kill_tree(process: subprocess.Popen[str], grace: float = GRACE_SECONDS) -> None:
    """Ends the process at once, so that it cannot start a retry, and lets its descendants clean up."""
    below = descendants(process)
    process.kill()
    process.wait()
    _end(below, grace)


def _end(processes: list[psutil.Process], grace: float) -> None:
    for process in processes:
        _send(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        _send(process, signal.SIGKILL)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return  # it ended in between


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGTERM acts like Ctrl-C, so that one `finally` cleans up after both."""

    def _interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
