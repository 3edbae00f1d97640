"""Starts a stream per topic: Kafka → bronze_messages, by the same exactly-once sink of Delta as the landing files."""

import json
import logging

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.context import Context
from jobs.core.errors import RetryableError
from jobs.core.failpoints import Sabotage, sabotaged
from jobs.core.settings import Settings
from jobs.ingest.kafka.plan import TopicPlan, make_plans
from jobs.ingest.kafka.records import to_bronze
from jobs.ingest.stream.bronze import write_bronze
from jobs.transport.kafka import spark_options

log = logging.getLogger(__name__)
SKEW_RECORDS = 10_000
SKEW_SHARE = 0.9


def start_topic(
    session: SparkSession, settings: Settings, plan: TopicPlan, *, every: str | None = None
) -> StreamingQuery:
    """Starts the stream of one topic: all that is there and then an end, or with `every` a batch at that pace for ever."""
    topic = plan.life.topic
    places = json.dumps({topic: {str(partition): place for partition, place in plan.places.items()}})
    loss_stops = not sabotaged(settings, Sabotage.IGNORE_DATA_LOSS)
    records = (
        session.readStream.format("kafka")
        .options(**spark_options(settings))
        .option("subscribe", topic)
        .option("startingOffsets", places)  # the checkpoint counts once it has a batch
        .option("failOnDataLoss", str(loss_stops).lower())
        .option("maxOffsetsPerTrigger", settings.kafka_batch_records)
        .option("includeHeaders", "true")
        .load()
    )
    frame = to_bronze(records, settings, plan.life, plan.source)
    return write_bronze(frame, settings, f"bronze_kafka:{topic}", plan.checkpoint, every=every)


def run_kafka(session: SparkSession, context: Context, plans: list[TopicPlan]) -> int:
    """Reads what the topics hold now, then stops; returns the records read by this run.

    Raises OffsetGapError when records vanish under its hands, RetryableError when a stream fails otherwise.
    """
    plans = [plan for plan in plans if plan.waiting]
    queries = [start_topic(session, context.settings, plan) for plan in plans]
    for query in queries:
        try:
            query.awaitTermination()
        except StreamingQueryException as error:
            for other in queries:
                other.stop()
            raise explained(context, str(query.name), error) from error
    for query, plan in zip(queries, plans, strict=True):
        _warn_of_skew(query, plan.places)
    return sum(int(progress["numInputRows"]) for query in queries for progress in query.recentProgress)


def explained(context: Context, name: str, error: Exception | None) -> Exception:
    """Why a stream has failed: a gap where there is one, otherwise the first line of what Spark says."""
    make_plans(context)
    lines = str(error).strip().splitlines() or ["no reason given"]
    return RetryableError(f"the stream {name} has stopped: {lines[0][:300]}; run again, it goes on where it stopped")


def _warn_of_skew(query: StreamingQuery, places: dict[int, int]) -> None:
    """Says when nearly all records of a run sat in one of several partitions: one key too hot, or no key spread."""
    first = {
        str(partition): place for partition, place in places.items()
    }  # the first batch does not say where it began
    counts: dict[str, int] = {}
    for progress in query.recentProgress:
        for source in progress["sources"]:
            begin, end = first | _offsets(source["startOffset"]), _offsets(source["endOffset"])
            for partition, offset in end.items():
                counts[partition] = counts.get(partition, 0) + offset - begin.get(partition, 0)
    total = sum(counts.values())
    if len(counts) > 1 and total >= SKEW_RECORDS and max(counts.values()) > SKEW_SHARE * total:
        hot = max(counts, key=lambda partition: counts[partition])
        log.warning("%s: %.0f %% of %d records are in partition %s", query.name, 100 * counts[hot] / total, total, hot)


def _offsets(value: object) -> dict[str, int]:
    """Offsets by partition as the progress report gives them: JSON text or the object itself; empty before the first."""
    found = json.loads(value) if isinstance(value, str) else value
    return (
        {p: int(offset) for topic in found.values() for p, offset in topic.items()} if isinstance(found, dict) else {}
    )
