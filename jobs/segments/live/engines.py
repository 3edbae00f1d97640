"""Who runs a program for the moments asked for: DuckDB in this process, or another engine when there are many."""

from typing import Any, Protocol

from jobs.segments.compile.program import Program


class Runner(Protocol):
    """Runs a program whose relations stand in the connection, and leaves its result there as the table `result`."""

    def run(self, connection: Any, program: Program) -> None:
        """One row per row of `asked`."""


class LocalRunner:
    """DuckDB, where the relations are."""

    def __init__(self) -> None:
        self.texts: dict[int, tuple[Program, str]] = {}

    def run(self, connection: Any, program: Program) -> None:
        """The text of a program is written once."""
        if id(program) not in self.texts:
            self.texts[id(program)] = (program, program.query())
        connection.execute(f"create or replace temp table result as {self.texts[id(program)][1]}")


class SizedRunner:
    """DuckDB up to so many moments, another beyond."""

    def __init__(self, limit: int, big: Runner) -> None:
        self.limit = limit
        self.local = LocalRunner()
        self.big = big

    def run(self, connection: Any, program: Program) -> None:
        """By the number of rows of `asked`."""
        asked = connection.execute("select count(*) from asked").fetchone()[0]
        (self.local if asked <= self.limit else self.big).run(connection, program)
