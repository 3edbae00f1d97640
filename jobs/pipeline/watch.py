"""Follows the processes of a run: all that they say goes to a file, what tells of progress to the terminal."""

import subprocess
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import click

from jobs.core.exits import ENDED
from jobs.core.settings import bin_path
from jobs.pipeline.output import is_progress, is_waiting, task_started, task_text
from jobs.pipeline.processes import kill_tree

TAIL_LINES = 25
# Airflow says once a second that nothing can be started. Before a second try it does so for ten seconds; when it has lost
# a task on an error of its own (its database was locked), for ever.
MOST_WAITING = 60
AGAIN, GIVEN_UP = "it is begun again", "for the second time, so it is given up"


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
        self._start()
        return self

    def _start(self) -> None:
        command = [bin_path("python"), "-m", "jobs.orchestration.in_turn"]
        self._process = _started(command, self._environment, stdin=subprocess.PIPE)

    def test(self, dag_id: str, watch: Watch) -> int:
        """The exit code that `airflow dags test` would have had. A DAG that Airflow loses is begun again, once."""
        codes: list[int] = []
        watch.follow(self._lines_of(dag_id, codes))
        return codes[0] if codes else self._process.wait() or 1  # it has died, now or since the last one

    def _lines_of(self, dag_id: str, codes: list[int]) -> Iterator[str]:
        for then in (AGAIN, GIVEN_UP):
            is_lost = yield from self._until_ended(dag_id, codes)
            if not is_lost:
                return
            kill_tree(self._process)
            said = f"airflow has lost track of a task of {dag_id}; {then}"
            click.echo(f"    {said}", err=True)
            yield said
            if then == AGAIN:
                self._start()

    def _until_ended(self, dag_id: str, codes: list[int]) -> Generator[str, None, bool]:
        """Returns whether the DAG is lost. The marker may stand behind a line that its writer did not end."""
        if not self._named(dag_id):
            return False
        waiting = 0
        for line in _lines(self._process):
            said, marker, code = line.partition(f"{ENDED} ")
            if said or not marker:
                yield said
            if marker:
                codes.append(int(code))
                return False
            waiting = waiting + 1 if is_waiting(line) else 0
            if waiting > MOST_WAITING:
                return True
        return False

    def _named(self, dag_id: str) -> bool:
        """False when the process that should hear it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{dag_id}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return True

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
