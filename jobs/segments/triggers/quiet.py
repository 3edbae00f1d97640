"""Quiet hours by a person's clock."""

from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from jobs.segments.language.policy import Policy, QuietHours
from jobs.segments.language.triggers import PERSON


def zone_of(wanted: str, stated: str | None, policy: Policy) -> str:
    """The time zone that counts: the one named, or the person's, or the default where that is unknown or no time zone."""
    if wanted != PERSON:
        return wanted
    return stated if stated is not None and stated in _time_zones() else policy.default_zone


@cache
def _time_zones() -> frozenset[str]:
    """Read once: the list is made from files."""
    return frozenset(available_timezones())


def not_before(moment: datetime, quiet: QuietHours | None, zone: str) -> datetime:
    """The moment itself, or the end of the quiet hours that it lies in. UTC without zone.

    An end that the clock skips is read by the offset before the gap; of one that comes twice the first is meant, or the second
    when the moment lies behind the first.
    """
    if quiet is None:
        return moment
    local = _local(moment, zone)
    if not _is_quiet(local.time(), quiet):
        return moment
    ends = [_utc(local + timedelta(days=days), quiet.end, zone, fold) for days in (0, 1) for fold in (0, 1)]
    return min(end for end in ends if end > moment and not _is_quiet(_local(end, zone).time(), quiet))


def _is_quiet(now: time, quiet: QuietHours) -> bool:
    if quiet.start < quiet.end:
        return quiet.start <= now < quiet.end
    return now >= quiet.start or now < quiet.end


def _utc(day: datetime, at: time, zone: str, fold: int) -> datetime:
    local = datetime.combine(day.date(), at, tzinfo=ZoneInfo(zone)).replace(fold=fold)
    return local.astimezone(UTC).replace(tzinfo=None)


def _local(moment: datetime, zone: str) -> datetime:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
