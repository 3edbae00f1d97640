"""The warehouse as it was at the end of each day of a stretch, a few days a run, until all are there."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.lake.runs import Stage
from jobs.warehouse.build import build_as_of
from jobs.warehouse.paths import as_of_file
from jobs.warehouse.reading import require_pin

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Days that this run has built, that were there, and that are left for the next one."""

    built: tuple[date, ...]
    there: tuple[date, ...]
    left: tuple[date, ...]


def backfill(context: Context, first: date, last: date, *, pin: str, most: int) -> Progress:
    """Builds the missing days of [first, last], earliest first, `most` at the most, each as of its end (UTC).

    All read the table versions of the run `pin`, so that it makes no difference how many runs it takes. A day that is there
    is not touched: its file has its name only when it is whole. Raises UsageError for an empty stretch, a day that has not
    ended, and one that ends after the moment of the pin; what a day raises ends the run, and those before it stay.
    """
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    if _end(last) > context.clock.now():
        raise UsageError(f"{last} has not ended yet; now is {context.clock.now().isoformat()}")
    require_pin(context.settings, pin, _end(last))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    there = tuple(day for day in days if as_of_file(context.settings, _end(day), pin).exists())
    missing = [day for day in days if day not in there]
    for day in missing[:most]:
        file = build_as_of(context, Stage("warehouse.build_as_of"), _end(day), pin)
        log.info("backfill: %s is built: %s", day, file)
    return Progress(tuple(missing[:most]), there, tuple(missing[most:]))


def _end(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
