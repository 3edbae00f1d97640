"""Where days begin, in the words of an engine and by the oracle, at instants around every change of the clocks in the pools."""

from datetime import date, datetime, timedelta

from sqlglot import exp

from jobs.segments.compile.portable import Engine, to_sql
from jobs.segments.compile.windows import unit_start
from jobs.segments.language.units import Unit
from segments.calendars import MINUTE, first_day, start, start_of_day, today
from segments.pools import PLACES

DAYS = {zone: [day for name, day in PLACES if name == zone] for zone, _ in PLACES}
AROUND = timedelta(days=2)
EVERY = timedelta(minutes=10)


def instants(days: list[date]) -> list[datetime]:
    """From two days before each of the days to two after it, on every tenth minute and the one after it."""
    found: set[datetime] = set()
    for day in days:
        middle = datetime(day.year, day.month, day.day)
        steps = int(2 * AROUND / EVERY)
        found |= {middle - AROUND + step * EVERY + beside for step in range(steps) for beside in (0 * MINUTE, MINUTE)}
    return sorted(found)


def query(zone: str, engine: Engine) -> str:
    """Of each `as_of` in `asked`: where its day, the next one, the one before and its week begin."""
    found = {
        "this_day": unit_start(Unit.DAY, zone),
        "next_day": unit_start(Unit.DAY, zone, 1),
        "day_before": unit_start(Unit.DAY, zone, -1),
        "week": unit_start(Unit.WEEK, zone),
    }
    made = [exp.alias_(expression, name) for name, expression in found.items()]
    return to_sql(exp.select("as_of", *made).from_("asked").order_by("as_of"), engine)


def expected(zone: str, moment: datetime) -> tuple[datetime, ...]:
    """The same, by looking at every minute."""
    day = today(moment, zone)
    days = (day, day + timedelta(days=1), day - timedelta(days=1), first_day(day, Unit.WEEK))
    return (moment, *(start_of_day(one, zone) for one in days))


def is_whole(zone: str, moment: datetime) -> bool:
    """The day has begun, and the next one has not."""
    begun, following = expected(zone, moment)[1:3]
    return start(moment, Unit.DAY, zone) == begun <= moment < following
