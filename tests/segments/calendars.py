"""Days, weeks, months, quarters and years of a time zone, by looking at every minute. Instants are UTC without a zone."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from jobs.segments.language.units import Unit

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}


def local_date(moment: datetime, zone: str) -> date:
    """The date on the wall at an instant."""
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()


@cache
def start_of_day(day: date, zone: str) -> datetime:
    """The first instant whose local date is the day; of a day that a zone left out, the one that came instead."""
    moment = datetime(day.year, day.month, day.day) - 16 * 60 * MINUTE
    while local_date(moment, zone) < day:
        moment += MINUTE
    return moment


def today(moment: datetime, zone: str) -> date:
    """The day that has begun last. It is not the local date in the hour after a clock went back over midnight."""
    day = local_date(moment, zone)
    while start_of_day(day + DAY, zone) <= moment:
        day += DAY
    return day


def first_day(day: date, unit: Unit) -> date:
    """The first day of the unit that a day is in."""
    if unit is Unit.DAY:
        return day
    if unit is Unit.WEEK:
        return day - day.weekday() * DAY
    months = MONTHS[unit]
    return date(day.year, (day.month - 1) // months * months + 1, 1)


def start(moment: datetime, unit: Unit, zone: str, *, ago: int = 0) -> datetime:
    """Where the unit begins that an instant is in, or the one so many before it."""
    day = first_day(today(moment, zone), unit)
    for _ in range(ago):
        day = first_day(day - DAY, unit)
    return start_of_day(day, zone)
