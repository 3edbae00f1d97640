"""Follows the processes of a run: all that they say goes to a file, what tells of progress to the terminal."""

import subprocess
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import click

from jobs.core.exits import ENDED
from jobs.core.settings import bin_path
from jobs.pipeline.output import is_progress, task_started, task_text
from jobs.pipeline.processes import kill_tree

TAIL_LINES = 25


@dataclass
class Watch:
    """Follows one step: writes all it says to `log`, and shows the lines that tell of progress."""

    log: Path
    unwrap: bool
    _tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    _shown: set[str] = field(default_factory=set)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Exit code of the process; it and all below it are ended when we are interrupted."""
        process = _started(command, environment)
        try:
            self.follow(_lines(process))
            return process.wait()
        except BaseException:
            kill_tree(process)
            raise

    def follow(self, lines: Iterable[str]) -> None:
        """Until there are no more."""
        with self.log.open("w", encoding="utf-8") as log:
            for line in lines:
                log.write(line + "\n")
                self._show(line)

    def _show(self, line: str) -> None:
        task = task_started(line) if self.unwrap else None
        text = task_text(line) if self.unwrap else line
        if task:
            click.echo(f"  · {task}")
            self._tail.clear()
        elif text is not None:
            self._tail.append(text)
            if is_progress(text):
                click.echo(f"    {text}")
                self._shown.add(text)

    def show_tail(self) -> None:
        """The last lines of the step that failed, except those already shown."""
        for text in self._tail:
            if text not in self._shown and text.strip():
                click.echo(f"    {text}", err=True)


class Airflow:
    """Tests DAGs in turn in one process of Airflow; see `jobs.orchestration.in_turn`. Ended with all below it on an error."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def __enter__(self) -> "Airflow":
        command = [bin_path("python"), "-m", "jobs.orchestration.in_turn"]
        self._process = _started(command, self._environment, stdin=subprocess.PIPE)
        return self

    def test(self, dag_id: str, watch: Watch) -> int:
        """The exit code that `airflow dags test` would have had."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{dag_id}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            watch.follow(())
            return self._process.wait() or 1  # it died since the last one
        codes: list[int] = []
        watch.follow(self._until_ended(codes))
        return codes[0] if codes else self._process.wait() or 1

    def _until_ended(self, codes: list[int]) -> Iterator[str]:
        """The marker may stand behind a line that its writer did not end."""
        for line in _lines(self._process):
            said, marker, code = line.partition(f"{ENDED} ")
            if not marker:
                yield line
                continue
            if said:
                yield said
            codes.append(int(code))
            return

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _at: TracebackType | None
    ) -> None:
        if error is not None:
            kill_tree(self._process)
            return
        self._process.communicate()


def _started(
    command: Sequence[str], environment: Mapping[str, str], stdin: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="backslashreplace", start_new_session=True,
    )  # fmt: skip


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")
