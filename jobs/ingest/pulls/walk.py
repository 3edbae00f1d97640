"""The order in which a REST source is read so that no row is missed, however it changes meanwhile. Pure: it is handed answers.

Pages by offset skip rows when rows before them move. So a source that can sort by its cursor is asked anew for each page,
from where the last one ended; rows of one position that fill more than a page are gone through by their key, or by the
source's own pages. A source that cannot sort is read once through, and counts as read when that has come to its end.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.core.errors import PermanentError
from jobs.ingest.pulls.cursor import Position, after, read_position
from jobs.ingest.pulls.options import CursorOptions, RestOptions, TieOptions
from jobs.transport.rest import Page, at_path

Placed = tuple[Any, Position | None]  # a row and its position, None when it has no readable one


class Ask(Protocol):
    """Asks the source for the rows from a position on; with `key`, for those at the position whose key is greater."""

    def __call__(self, at: Position | None, key: str | None = None) -> Iterator[Page]:
        """Its answers, each fetched when it is wanted."""


@dataclass(frozen=True)
class Step:
    """Rows of one answer, each with its position. `done`: all rows before this position have been read; None unknown."""

    rows: list[Placed]
    done: Position | None


class Walk:
    """One walk through a source."""

    def __init__(self, ask: Ask, options: RestOptions) -> None:
        self._ask = ask
        self._rules = options.rules
        self._cursor = options.cursor

    def steps(self, start: Position | None) -> Iterator[Step]:
        """All rows from `start` on. Raises PermanentError when a source that promised an order does not keep it."""
        cursor = self._cursor
        if cursor is None or start is None:
            for page in self._ask(None):
                yield Step([(row, None) for row in page.rows], None)
        elif cursor.ascending:
            at: Position | None = start
            while at is not None:
                at = yield from self._query(cursor, at)
        else:
            newest = start
            for page in self._ask(start):
                rows = self._rows(cursor, page)
                newest = max([newest, *_known(rows)])
                yield Step(rows, None)
            yield Step([], newest)

    def _query(self, cursor: CursorOptions, at: Position) -> Generator[Step, None, Position | None]:
        """One query from `at` on, left as soon as it has led further. Returns where to ask next, None at the end."""
        for page in self._ask(at):
            rows = self._rows(cursor, page)
            positions = _known(rows)
            _check_order(positions, at, cursor.column)
            reached = max([at, *positions])
            yield Step(rows, reached)
            if not page.has_next:
                return None
            if reached > at:
                return reached
            if cursor.ties and page.rows:
                yield from self._ties(cursor, cursor.ties, at)
                return after(at, cursor.asked_as)
        return None

    def _ties(self, cursor: CursorOptions, ties: TieOptions, at: Position) -> Iterator[Step]:
        """All rows at one position, by their key: a page at a time, from the last key on."""
        key, has_next = ties.start, True
        while has_next:
            page = next(self._ask(at, key))
            rows = self._rows(cursor, page)
            if any(position != at for position in _known(rows)):
                raise PermanentError(f"cursor.ties: rows with another {cursor.column} came; check its filter")
            yield Step(rows, at)
            has_next = page.has_next and bool(page.rows)
            if has_next:
                last = str(at_path(page.rows[-1], self._rules[ties.column].path))
                if last == key:
                    raise PermanentError(
                        f"cursor.ties: the rows do not go on after a {ties.column}; are they sorted by it?"
                    )
                key = last

    def _rows(self, cursor: CursorOptions, page: Page) -> list[Placed]:
        path = self._rules[cursor.column].path
        return [(row, read_position(at_path(row, path), cursor.format, cursor.asked_as)) for row in page.rows]


def _known(rows: list[Placed]) -> list[Position]:
    return [position for _, position in rows if position is not None]


def _check_order(positions: list[Position], at: Position, column: str) -> None:
    """Rows out of order would be passed over: the next query begins at the greatest position seen."""
    if positions != sorted(positions):
        raise PermanentError(f"the rows are not in ascending order of {column}; sort them, or drop `ascending`")
    if positions and positions[0] < at:
        raise PermanentError(f"rows came from before the {column} that was asked for; check the filter with {{cursor}}")
