"""The oracle itself, against answers found by hand: about one case for each sentence of what the definitions promise."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from segments.goldkit import event, holds, value

VIEW = {"event": "view"}
LAST_DAY = {"event": "view", "last": "1 day"}
LATE = event("view", "10:00", received="11:00")
AT_TEN = event("view", "10:00")
ORDERED = [event("view", "10:00", p=name, position=place) for place, name in ((2, "second"), (1, "first"))]
TWICE = [event("view", "10:00", '{"p": "late key"}', position=1), event("view", "10:00", '{"p": "early"}', position=1)]

WINDOWS: list[tuple[dict[str, Any], str, str, bool]] = [
    # rule, the event happened, asked at, counts
    ({"last": "1 day"}, "10:00", "03-02 09:59", True),
    ({"last": "1 day"}, "10:00", "2018-03-02T09:59:59.999999", True),
    ({"last": "1 day"}, "10:00", "03-02 10:00", False),
    ({"this": "day"}, "00:00", "23:59", True),
    ({"this": "day"}, "02-28 23:59", "23:59", False),
    ({"this": "week"}, "02-26 00:00", "03-04 23:59", True),
    ({"this": "week"}, "02-26 00:00", "03-05 00:00", False),
    ({"this": "month"}, "03-01 00:00", "03-31 23:59", True),
    ({"this": "month"}, "02-28 23:59", "03-31 23:59", False),
    ({"this": "quarter"}, "01-01 00:00", "03-31 23:59", True),
    ({"this": "quarter"}, "03-31 23:59", "04-01 00:00", False),
    ({"this": "year"}, "01-01 00:00", "12-31 23:59", True),
    ({"this": "year"}, "2017-12-31T23:59", "12-31 23:59", False),
    ({"previous": "1 day"}, "10:00", "23:59", False),
    ({"previous": "1 day"}, "10:00", "03-02 00:00", True),
    ({"previous": "1 day"}, "10:00", "03-03 00:00", False),
    ({"previous": "2 months"}, "2018-01-01T00:00", "03-01 00:00", True),
    ({"previous": "2 months"}, "2017-12-31T23:59", "03-01 00:00", False),
    ({"previous": "2 weeks"}, "02-12 00:00", "03-04 23:59", True),
    ({"previous": "1 quarter"}, "2017-10-01T00:00", "03-01 00:00", True),
    ({"previous": "1 year"}, "2017-01-01T00:00", "03-01 00:00", True),
    ({"since": datetime(2018, 3, 1, 10)}, "10:00", "12:00", True),
    ({"since": datetime(2018, 3, 1, 10)}, "09:59", "12:00", False),
    ({"until": datetime(2018, 3, 1, 10)}, "10:00", "12:00", False),
    ({"until": datetime(2018, 3, 1, 10)}, "09:59", "12:00", True),
    ({"since": datetime(2018, 3, 1, 10, tzinfo=UTC), "until": datetime(2018, 3, 1, 11)}, "10:30", "12:00", True),
]

ZONED: list[tuple[str, dict[str, Any], str, str, bool]] = [
    # Berlin: 25 March has 23 hours, 28 October 25.
    ("Europe/Berlin", {"this": "day"}, "02-28 23:00", "22:59", True),
    ("Europe/Berlin", {"this": "day"}, "02-28 22:59", "22:59", False),
    ("Europe/Berlin", {"previous": "1 day"}, "03-24 23:00", "03-25 22:00", True),
    ("Europe/Berlin", {"previous": "1 day"}, "03-24 22:59", "03-25 22:00", False),
    ("Europe/Berlin", {"this": "day"}, "10-27 22:00", "10-28 22:59", True),
    ("Europe/Berlin", {"last": "1 day"}, "10-27 22:00", "10-28 22:00", False),
    # 02:30 is skipped on 25 March: by the offset before, 01:30 UTC. It comes twice on 28 October: the earlier, 00:30 UTC.
    ("Europe/Berlin", {"since": datetime(2018, 3, 25, 2, 30)}, "03-25 01:30", "03-26 00:00", True),
    ("Europe/Berlin", {"since": datetime(2018, 3, 25, 2, 30)}, "03-25 01:29", "03-26 00:00", False),
    ("Europe/Berlin", {"until": datetime(2018, 10, 28, 2, 30)}, "10-28 00:29", "10-29 00:00", True),
    ("Europe/Berlin", {"until": datetime(2018, 10, 28, 2, 30)}, "10-28 00:30", "10-29 00:00", False),
    ("Europe/Berlin", {"since": datetime(2018, 3, 1).date()}, "02-28 23:00", "12:00", True),
    ("Europe/Berlin", {"since": datetime(2018, 3, 1, tzinfo=UTC)}, "02-28 23:00", "12:00", False),
    # Havana leaves out midnight of 11 March (the day begins at 01:00 local, 05:00 UTC), and has that of 4 November twice.
    ("America/Havana", {"this": "day"}, "03-11 05:00", "03-11 12:00", True),
    ("America/Havana", {"this": "day"}, "03-11 04:59", "03-11 12:00", False),
    ("America/Havana", {"this": "day"}, "11-04 04:00", "11-04 12:00", True),
    ("America/Havana", {"this": "day"}, "11-04 03:59", "11-04 12:00", False),
    # Beirut goes from 24:00 of 27 October back to 23:00: the 28th begins once, at 22:00 UTC.
    ("Asia/Beirut", {"this": "day"}, "10-27 21:30", "10-27 22:00", False),
    ("Asia/Beirut", {"this": "day"}, "10-26 21:00", "10-27 21:59", True),
    # Lord Howe changes by half an hour, from +11:00 to +10:30 on 1 April: the 2nd begins at 13:30 UTC.
    ("Australia/Lord_Howe", {"this": "day"}, "03-31 13:00", "04-01 13:29", True),
    ("Australia/Lord_Howe", {"this": "day"}, "03-31 13:00", "04-01 13:30", False),
    ("Asia/Kathmandu", {"this": "day"}, "02-28 18:15", "18:14", True),
    ("Asia/Kathmandu", {"this": "day"}, "02-28 18:15", "18:15", False),
    # St. John's went back from 00:01 to 23:01 on 7 November 2010: a day that has begun stays the day.
    ("America/St_Johns", {"this": "day"}, "2010-11-07T02:29", "2010-11-07T02:40", False),
    ("America/St_Johns", {"this": "day"}, "2010-11-07T02:30", "2010-11-07T02:40", True),
]

# JSON of `p` → its text, its number
TYPING: list[tuple[str, str | None, str | None]] = [
    ('"a"', "a", None),
    ('"\\u00e4"', "ä", None),
    ("12", "12", "12"),
    ("-1", "-1", "-1"),
    ("true", "true", None),
    ("1.0", None, "1"),
    ("1e3", None, "1000"),
    ('"1e3"', "1e3", "1000"),
    ('"007"', "007", "7"),
    ('"1.5"', "1.5", "1.5"),
    ('" 1"', " 1", None),
    ('"+1"', "+1", None),
    ('"1\\n"', "1\n", None),
    ('".5"', ".5", None),
    ('"1234567890123456"', "1234567890123456", None),
    ('"Infinity"', "Infinity", None),
    ("9223372036854775807", "9223372036854775807", None),
    ("9223372036854775808", None, None),
    ("99999999999", "99999999999", "99999999999"),
    ("100000000000", "100000000000", None),
    ("0.0000005", None, "0.000001"),
    ("-0.0000005", None, "-0.000001"),
    ("0.00000049", None, "0"),
    ("null", None, None),
    ("{}", None, None),
    ("[1]", None, None),
]


def test_an_event_counts_from_its_receipt() -> None:
    assert not holds(VIEW, "10:59:59", LATE)
    assert holds(VIEW, "11:00", LATE)
    assert not holds(VIEW, "12:00", event("add", "10:00"))
    assert holds({"event": ["add", "view"]}, "12:00", AT_TEN)


def test_order_is_by_time_then_receipt_then_key() -> None:
    assert value(VIEW | {"first_value": "p"}, "12:00", *ORDERED) == "first"
    assert value(VIEW | {"last_value": "p"}, "12:00", *ORDERED) == "second"
    assert value(VIEW | {"first_value": "p"}, "12:00", *TWICE) == "early"  # its key is `… {"p": "early"}`


@pytest.mark.parametrize(("window", "happened", "now", "counts"), WINDOWS)
def test_windows(window: dict[str, Any], happened: str, now: str, counts: bool) -> None:
    assert holds(VIEW | window, now, event("view", happened)) is counts


@pytest.mark.parametrize(("zone", "window", "happened", "now", "counts"), ZONED)
def test_windows_follow_the_time_zone(zone: str, window: dict[str, Any], happened: str, now: str, counts: bool) -> None:
    assert holds(VIEW | window, now, event("view", happened), zone=zone) is counts


@pytest.mark.parametrize(("raw", "text", "number"), TYPING)
def test_properties_are_texts_and_numbers(raw: str, text: str | None, number: str | None) -> None:
    seen = event("view", "10:00", f'{{"p": {raw}}}')
    assert value(VIEW | {"last_value": "p"}, "12:00", seen) == text
    assert value(VIEW | {"max": "p"}, "12:00", seen) == (None if number is None else Decimal(number))
    nothing = {"where": [{"property": "p", "is_null": True}]}
    assert holds(VIEW | nothing, "12:00", seen) is (raw in ("null", "{}", "[1]"))


@pytest.mark.parametrize(
    ("raw", "path", "text"),
    [
        ('{"o": {"n": "x"}}', "o.n", "x"),
        ('{"o": [{"n": "x"}]}', "o.n", None),
        ('{"o.n": "x"}', "o.n", None),
        ('{"o": "x"}', "o.n", None),
        ('{"O": {"n": "x"}}', "o.n", None),
        ('{"p": ["x"]}', "p", None),
    ],
)
def test_a_path_walks_through_objects(raw: str, path: str, text: str | None) -> None:
    assert value(VIEW | {"last_value": path}, "12:00", event("view", "10:00", raw)) == text


@pytest.mark.parametrize(
    ("test", "raw", "passes"),
    [
        ({"eq": 1}, "1.0", True),
        ({"eq": 1}, '"1"', True),
        ({"eq": "1"}, "1", True),
        ({"eq": "1"}, "1.0", False),
        ({"eq": True}, "true", True),
        ({"eq": True}, '"true"', True),
        ({"eq": True}, "1", False),
        ({"ne": True}, "1", True),
        ({"ne": 1}, '"a"', True),
        ({"ne": 1}, "1.0", False),
        ({"ne": 1}, "null", True),
        ({"gt": 1}, '"a"', False),
        ({"lt": 1}, "null", False),
        ({"gte": 0.3}, "0.3", True),
        ({"eq": 0.000001}, "0.0000005", True),
        ({"eq": 0.0000005}, "0.000001", True),
        ({"in": [1, 2]}, "2.0", True),
        ({"in": ["a", "2"]}, "2", True),
        ({"in": ["a", "2"]}, "null", False),
        ({"in": [False]}, "false", True),
        ({"contains": "%"}, '"a"', False),
        ({"contains": "b"}, '"abc"', True),
        ({"contains": "B"}, '"abc"', False),
        ({"contains": "2"}, "123", True),
        ({"starts_with": "_"}, '"ab"', False),
        ({"starts_with": "ab"}, '"ab"', True),
        ({"is_null": True}, "{}", True),
        ({"is_null": False}, "{}", False),
        ({"is_null": False}, "1.5", True),
    ],
)
def test_property_tests(test: dict[str, Any], raw: str, passes: bool) -> None:
    assert (
        holds(VIEW | {"where": [{"property": "p", **test}]}, "12:00", event("view", "10:00", f'{{"p": {raw}}}'))
        is passes
    )
