"""Days begin on DuckDB where the oracle has them begin, whatever a clock does at midnight (Spark: tests/spark). 2 seconds."""

from datetime import datetime

import duckdb
import pyarrow as pa
import pytest

from jobs.segments.compile.portable import Engine
from segments.calendars import start_of_day, today
from segments.dayskit import DAYS, expected, instants, is_whole, query
from segments.duckkit import TIME

# zone, instant, its day, where that begins, where the next one does
FOUND_BY_HAND = [
    # St. John's goes from 00:01 of 7 November back to 23:01 of the 6th; in 1988 two hours back, to 22:01.
    ("America/St_Johns", "2010-11-07 02:29", "2010-11-06", "2010-11-06 02:30", "2010-11-07 02:30"),
    ("America/St_Johns", "2010-11-07 02:40", "2010-11-07", "2010-11-07 02:30", "2010-11-08 03:30"),
    ("America/St_Johns", "1988-10-30 03:00", "1988-10-30", "1988-10-30 01:30", "1988-10-31 03:30"),
    # Beirut goes from 24:00 back to 23:00: the day that was about to begin does so an hour later.
    ("Asia/Beirut", "2018-10-27 21:30", "2018-10-27", "2018-10-26 21:00", "2018-10-27 22:00"),
    # Midnight twice in Havana; half an hour of two in Colombo; left out in Cairo, where the day begins at 01:00.
    ("America/Havana", "2018-11-04 05:30", "2018-11-04", "2018-11-04 04:00", "2018-11-05 05:00"),
    ("Asia/Colombo", "2006-04-14 18:45", "2006-04-15", "2006-04-14 18:00", "2006-04-15 18:30"),
    ("Africa/Cairo", "2023-04-27 22:00", "2023-04-28", "2023-04-27 22:00", "2023-04-28 21:00"),
    # Three hours back to 23:00 of the day before, and a day that a country left out.
    ("Antarctica/Casey", "2010-03-04 16:30", "2010-03-05", "2010-03-04 13:00", "2010-03-05 16:00"),
    ("Pacific/Apia", "2011-12-30 10:00", "2011-12-31", "2011-12-30 10:00", "2011-12-31 10:00"),
]


@pytest.mark.parametrize(("zone", "instant", "day", "begins", "ends"), FOUND_BY_HAND)
def test_the_oracles_days(zone: str, instant: str, day: str, begins: str, ends: str) -> None:
    moment = datetime.fromisoformat(instant)
    assert str(today(moment, zone)) == day
    assert start_of_day(today(moment, zone), zone) == datetime.fromisoformat(begins)
    assert expected(zone, moment)[2] == datetime.fromisoformat(ends)


@pytest.mark.parametrize("zone", DAYS)
def test_days_begin_alike(zone: str) -> None:
    asked = instants(DAYS[zone])
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("asked", pa.table({"as_of": pa.array(asked, TIME)}))
        found = connection.sql(query(zone, Engine.DUCKDB)).fetchall()
    assert found == [expected(zone, moment) for moment in asked]
    assert all(is_whole(zone, moment) for moment in asked)
