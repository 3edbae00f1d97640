"""What worlds are drawn from: few of everything, so that things coincide, and the odd ones among them."""

from datetime import UTC, date, datetime, time, timedelta

# Each with a day on which its clock is changed: midnight left out, twice, or passed and then gone back over; by half an hour, two
# or three; the hour after midnight twice; a whole day left out.
PLACES = (
    ("UTC", date(2018, 1, 1)),
    ("Europe/Berlin", date(2018, 3, 25)),
    ("Europe/Berlin", date(2018, 10, 28)),
    ("America/Havana", date(2018, 3, 11)),
    ("America/Havana", date(2018, 11, 4)),
    ("Asia/Beirut", date(2018, 3, 25)),
    ("Asia/Beirut", date(2018, 10, 28)),
    ("Australia/Lord_Howe", date(2018, 4, 1)),
    ("Australia/Lord_Howe", date(2018, 10, 7)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Asia/Kathmandu", date(2018, 7, 1)),
    ("America/St_Johns", date(2010, 3, 14)),
    ("America/St_Johns", date(2010, 11, 7)),
    ("America/St_Johns", date(2010, 11, 7)),
    ("America/St_Johns", date(1988, 10, 30)),
    ("Africa/Cairo", date(2023, 4, 28)),
    ("Africa/Cairo", date(2023, 10, 27)),
    ("Asia/Colombo", date(2006, 4, 15)),
    ("Antarctica/Casey", date(2010, 3, 5)),
    ("Pacific/Apia", date(2011, 12, 30)),
)
WALL = (time(0), time(0, 30), time(1, 30), time(1, 45), time(2, 15), time(2, 30), time(23, 30), time(12, 0, 0, 1))

NAMES = ("view", "add", "order")
PATHS = ("p", "p", "q", "o.n")

DURATIONS = {
    "30 minutes": timedelta(minutes=30),
    "1 hour": timedelta(hours=1),
    "90 minutes": timedelta(minutes=90),
    "1 day": timedelta(days=1),
    "25 hours": timedelta(hours=25),
    "2 days": timedelta(days=2),
    "1 week": timedelta(weeks=1),
    "30 days": timedelta(days=30),
}
HALF_HOURS = (0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 47, 48, 48, 50, 336, -1, -1, -2, -48, -48, -50, -96, -1440, -4320)
TICKS = (0, 0, 0, 0, 0, 0, 1, -1)
LAGS = (
    *[timedelta()] * 6,
    timedelta(microseconds=1),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=40),
)

# JSON texts of a property. The first are common, so that events share them.
COMMON = ("1", "2", '"a"', '"b"', '"1"', "true", "10")
ODD = (
    *("0", "-1", "1.0", "1.5", "-1.5", "1e3", "1E+3", "1e-3", "0.1", "0.3", "2.5", "10.50", "1000"),
    *("0.0000005", "-0.0000005", "0.00000049", "0.0000015", "1.0000005", "32.4522845", "123456.7890125", "0.1234565"),
    *("99999999999", "99999999999.75", "100000000000", "-99999999999", "9223372036854775807", "9223372036854775808"),
    *("12345678901234567890123", "1e30", "1e-30", "-1e11"),
    *('"1.5"', '"1e3"', '"-1"', '"007"', '"1e-7"', '"123456789012345.5"', '"1234567890123456"', '"1e99"', '"-0"'),
    *('" 1"', '"1 "', '"+1"', '"1."', '".5"', '"1\\n"', '"NaN"', '"Infinity"', '"0x1"', '"1_000"', '"1,5"', '"1d"'),
    *('"true"', '"false"', "false", '""', '"A"', '"ab"', '"ba"', '"%"', '"_"', '"it\'s"', '"ä"', '"\\u00e4"', '"😀"'),
    *('"a\\nb"', '"a\\"b"', '"\\\\"', '"null"', "null", "null", "{}", "[]", "[1]", '["a"]', '{"n": 1}', '[{"n": 1}]'),
)
VALUES = COMMON * 4 + ODD
INNER = (
    '{"n": 1}',
    '{"n": "a"}',
    '{"n": true}',
    '{"n": null}',
    '{"m": 1}',
    '[{"n": 1}]',
    '{"n": {"n": 1}}',
    "null",
    '"n"',
    "1",
)
ODD_KEYS = ("", '"o.n": 1', '"P": 1', '"pp": "a"')

COUNTS = (0, 1, 2, 3)
# Those that attributes have, too.
MOMENTS = tuple(
    datetime(*moment, tzinfo=UTC) for moment in ((2018, 1, 1), (2018, 11, 4, 4), (2018, 3, 24, 23), (2017, 1, 1))
)
PERCENTS = (50, 25, 75, 20, 33.3, 66.7, 99)
