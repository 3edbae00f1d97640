"""Finds repeated events: within the batch and against what silver holds. Stateless, no watermark; frame in, frame out.

Two messages are one event when source and event_id are equal; this is promised for 30 days between theirs, and held for
longer where it costs nothing. The first one received that is not suppressed counts. Another with the same body is a
duplicate; with another body it is a conflict, and is not dropped.
A message that a crash left half written is not its own repeat, so a re-delivered batch computes the same sets.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

WINDOW_DAYS = 30
DUPLICATE, CONFLICT = "duplicate", "conflict"
KEY = ["source", "event_id"]
NARROW = ["message_id", "source", "event_id", "body_hash", "receive_position", "is_suppressed"]


def key_hash() -> Column:
    """64 bits of (source, event_id): equal keys have equal hashes; who needs certainty compares the keys."""
    return F.xxhash64("source", "event_id")


def verdicts(candidates: DataFrame, held: DataFrame) -> DataFrame:
    """(message_id, verdict duplicate | conflict) for each candidate that stands behind another message of its event.

    `candidates`: valid rows of the batch with the columns NARROW, all of those that share a key · `held`: rows of silver
    with the columns NARROW but is_suppressed. A held row of the same message_id is the candidate itself, written before a
    crash. A suppressed message is never kept, so nothing stands behind it: where a batch ends makes no difference.
    """
    narrow = candidates.select(*NARROW)
    kept = narrow.where(~F.col("is_suppressed")).groupBy(*KEY)
    first = kept.agg(
        F.min("receive_position").alias("first_position"),
        F.min_by("body_hash", "receive_position").alias("first_hash"),
    )
    known = held.select(*KEY, F.col("body_hash").alias("held_hash"), F.col("message_id").alias("held_id"))
    other = narrow.join(known, KEY).where(F.col("held_id") != F.col("message_id"))
    found = other.groupBy(F.col("message_id").alias("found_id")).agg(F.min("held_hash").alias("held_hash"))
    judged = narrow.join(first, KEY, "left").join(found, F.col("message_id") == F.col("found_id"), "left")
    is_behind = F.col("held_hash").isNotNull() | (F.col("receive_position") > F.col("first_position"))
    is_same = F.coalesce("held_hash", "first_hash") == F.col("body_hash")
    return judged.where(is_behind).select("message_id", F.when(is_same, DUPLICATE).otherwise(CONFLICT).alias("verdict"))


def within_window(days: Iterable[date]) -> Column:
    """Condition on event_date: within 30 days of one of the batch's days. Ranges, so that files are pruned by statistics;
    a few stray days in a batch add their own ranges instead of stretching one over all of history."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        low, high = _shifted(day, -WINDOW_DAYS), _shifted(day, WINDOW_DAYS)
        if ranges and low <= ranges[-1][1] + timedelta(days=1):
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    terms = [F.col("event_date").between(day_literal(low), day_literal(high)) for low, high in ranges]
    return reduce(lambda a, b: a | b, terms, F.lit(False))


def day_literal(day: date) -> Column:
    """The day as a constant. PySpark itself spells the year 1 as `1`, which the JVM refuses, and the stream would stand still."""
    return F.lit(day.isoformat()).cast("date")


def _shifted(day: date, days: int) -> date:
    """The day moved, held within what a date can say."""
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal() - 1))
