"""The walk through a REST source against a simulated one that changes under it; positions of cursors."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.ingest.pulls.cursor import Format, after, as_text, before, micros, not_later, read_position
from jobs.ingest.pulls.options import RestOptions
from jobs.ingest.pulls.walk import Walk
from jobs.transport.rest import Page

INTEGER: dict[str, Any] = {
    "base_url": "https://crm.example.com", "path": "/rows", "paginator": {"kind": "offset"},
    "params": {"from": "{cursor}"}, "columns": {"id": "id", "at": "at"},
}  # fmt: skip


def options(*, ties: bool) -> RestOptions:
    cursor: dict[str, Any] = {"column": "at", "format": "integer", "start": "0", "ascending": True}
    if ties:
        cursor["ties"] = {"column": "id", "start": "-1", "params": {"at": "{cursor}", "after": "{key}"}}
    return RestOptions.model_validate(INTEGER | {"cursor": cursor})


class Simulated:
    """Rows by id with a position each; pages by offset over what there is at that moment, as most APIs do it."""

    def __init__(self, rows: dict[int, int], size: int, meanwhile: Callable[["Simulated"], None]) -> None:
        self.rows = rows
        self.size = size
        self.meanwhile = meanwhile
        self.queries = 0

    def ask(self, at: int | None, key: str | None = None) -> Iterator[Page]:
        """From a position on, or at it by key."""
        self.queries += 1
        offset = 0
        while True:
            if key is None:
                found = sorted((n for n, p in self.rows.items() if p >= (at or 0)), key=lambda n: (self.rows[n], n))
            else:
                found = sorted(n for n, p in self.rows.items() if p == at and n > int(key))
            page = found[offset : offset + self.size]
            offset += self.size
            yield Page([{"id": n, "at": self.rows[n]} for n in page], has_next=offset < len(found))
            self.meanwhile(self)
            if offset >= len(found):
                return


def walked(source: Simulated, given: RestOptions, start: int) -> tuple[set[tuple[int, int]], int]:
    """(every row with its position that came, how far the source counts as read)."""
    found, done = set(), start
    for step in Walk(source.ask, given).steps(start):
        found |= {(row["id"], row["at"]) for row, _ in step.rows}
        done = step.done if step.done is not None else done
    return found, done


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=0, max_size=60),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 2)), max_size=40),
)
def test_no_row_is_missed_however_the_source_changes(
    positions: list[int], size: int, changes: list[tuple[int, int]]
) -> None:
    """Many rows share a position, pages are small, and after each page some row moves to the end or is new."""
    pending = list(changes)

    def meanwhile(source: Simulated) -> None:
        if pending:
            number, later = pending.pop()
            source.rows[number] = max([8, *source.rows.values()]) + later

    source = Simulated(dict(enumerate(positions)), size, meanwhile)
    rules = options(ties=True)
    first, done = walked(source, rules, 0)
    pending.clear()
    second, _ = walked(source, rules, done)
    assert first | second >= set(source.rows.items())
    assert all(position < done or (number, position) in first | second for number, position in source.rows.items())


def test_by_pages_alone_rows_are_missed() -> None:
    """The test above can fail: read by offset, the same kind of change hides rows."""

    def meanwhile(source: Simulated) -> None:
        source.rows[min(source.rows, key=lambda n: (source.rows[n], n))] = max(source.rows.values()) + 1

    source = Simulated({number: number for number in range(40)}, 5, meanwhile)
    found = {(row["id"], row["at"]) for page in source.ask(0) for row in page.rows}
    source.meanwhile = lambda source: None
    newest = max(position for _, position in found)
    found |= {(row["id"], row["at"]) for page in source.ask(newest) for row in page.rows}
    assert not found >= set(source.rows.items())


def test_ties_without_a_key_go_by_the_sources_own_pages() -> None:
    source = Simulated(dict.fromkeys(range(23), 4) | {50: 5}, 5, lambda source: None)
    found, done = walked(source, options(ties=False), 0)
    assert found == set(source.rows.items())
    assert done == 5


def test_a_still_source_costs_one_query() -> None:
    source = Simulated({1: 3}, 5, lambda source: None)
    assert walked(source, options(ties=True), 3) == ({(1, 3)}, 3)
    assert source.queries == 1


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("2017-06-01T00:00:00Z", "iso8601", "2017-06-01T00:00:00.000Z"),
        ("2017-06-01T00:00:00.5Z", "iso8601", "2017-06-01T00:00:00.500Z"),
        ("2017-06-01T02:00:00.123456+02:00", "iso8601", "2017-06-01T00:00:00.123Z"),
        ("2017-06-01", "iso8601", "2017-06-01T00:00:00.000Z"),
        (1496275200123, "epoch_ms", "1496275200123"),
        ("1496275200123", "epoch_ms", "1496275200123"),
        (1496275200.9, "epoch_seconds", "1496275200"),
        (-5, "epoch_seconds", "-5"),
        (12345678901234567890, "integer", "12345678901234567890"),
        ("7", "integer", "7"),
    ],
)
def test_positions_as_they_are_asked_for(value: Any, kind: Format, expected: str) -> None:
    position = read_position(value, kind, kind)
    assert position is not None
    assert as_text(position, kind) == expected


@pytest.mark.parametrize("kind", ["iso8601", "epoch_ms", "epoch_seconds", "integer"])
@pytest.mark.parametrize(
    "value", [None, True, "", "soon", "NaN", "Infinity", [], {}, "2017-13-01", "1.5e999", "1e999999999", "0x10"]
)
def test_what_is_no_position(value: Any, kind: Format) -> None:
    assert read_position(value, kind, kind) is None


def test_a_time_beyond_the_calendar_is_none() -> None:
    assert read_position(10**25, "epoch_ms", "epoch_ms") is None
    assert read_position(10**25, "integer", "integer") == 10**25


def test_times_are_compared_as_times() -> None:
    """As text "…:00Z" comes after "…:00.5Z"; HubSpot writes no milliseconds when they are zero."""
    early, late = (
        read_position(text, "iso8601", "epoch_ms") for text in ("2017-06-01T00:00:00Z", "2017-06-01T00:00:00.5Z")
    )
    assert early is not None
    assert late is not None
    assert early < late
    assert after(early, "epoch_ms") == early + 1_000


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["iso8601", "epoch_ms", "epoch_seconds"])
)
def test_a_position_is_never_later_than_its_time(instant: datetime, asked_as: Format) -> None:
    position = read_position(instant.replace(tzinfo=UTC).isoformat(), "iso8601", asked_as)
    assert position is not None
    exact = micros(instant)
    assert position <= exact < after(position, asked_as)
    assert read_position(as_text(position, asked_as), asked_as, asked_as) == position
    assert before(position, 10, asked_as) == position - 10_000_000
    now = instant.replace(tzinfo=UTC) - timedelta(days=1)
    assert not_later(position, now, asked_as) <= micros(now)
