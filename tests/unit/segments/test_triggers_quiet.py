"""Quiet hours on the days on which clocks change."""

from datetime import datetime, time

import pytest

from jobs.segments.language.policy import QuietHours
from jobs.segments.triggers.quiet import not_before

BERLIN = "Europe/Berlin"


def hours(start: str, end: str) -> QuietHours:
    return QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end))


@pytest.mark.parametrize(
    ("start", "end", "moment", "expected"),
    [
        ("21:00", "08:00", "2020-01-10T19:59", "2020-01-10T19:59"),
        ("21:00", "08:00", "2020-01-10T20:00", "2020-01-11T07:00"),
        ("21:00", "08:00", "2020-01-11T06:59", "2020-01-11T07:00"),
        ("21:00", "08:00", "2020-01-11T07:00", "2020-01-11T07:00"),
        ("12:00", "14:00", "2020-01-11T12:30", "2020-01-11T13:00"),
        ("12:00", "14:00", "2020-01-11T10:59", "2020-01-11T10:59"),
        # The night in which the clock goes forward (29 March, 02:00 → 03:00) is an hour shorter …
        ("21:00", "08:00", "2020-03-28T22:00", "2020-03-29T06:00"),
        # … and an end in the hour that is left out is the moment after as much time.
        ("21:00", "02:30", "2020-03-29T00:30", "2020-03-29T01:30"),
        # The night in which it goes back (25 October, 03:00 → 02:00) is an hour longer …
        ("21:00", "08:00", "2020-10-24T22:00", "2020-10-25T07:00"),
        # … and of an end that comes twice the first is meant, until the hour is quiet once more.
        ("21:00", "02:30", "2020-10-25T00:10", "2020-10-25T00:30"),
        ("21:00", "02:30", "2020-10-25T00:40", "2020-10-25T00:40"),
        ("21:00", "02:30", "2020-10-25T01:10", "2020-10-25T01:30"),
    ],
)
def test_when_it_may_be_sent(start: str, end: str, moment: str, expected: str) -> None:
    found = not_before(datetime.fromisoformat(moment), hours(start, end), BERLIN)
    assert found == datetime.fromisoformat(expected)


def test_without_quiet_hours_it_may_be_sent_at_once() -> None:
    moment = datetime(2020, 1, 11, 3)
    assert not_before(moment, None, BERLIN) == moment
