"""Finds repeated messages: within the batch, and against what silver holds. Stateless, no watermark.

Rows that the same batch wrote before a crash do not count as held, so a re-delivered batch computes the same sets.
"""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

WINDOW_DAYS = 30


def repeated_in_batch(valid: DataFrame) -> DataFrame:
    """message_ids whose (source, event_id) came earlier in the same batch, by order of receipt."""
    order = Window.partitionBy("source", "event_id").orderBy("receive_position")
    narrow = valid.select("message_id", "source", "event_id", "receive_position")
    return narrow.withColumn("n", F.row_number().over(order)).where("n > 1").select("message_id")


def repeated_in_table(valid: DataFrame, held: DataFrame, batch: str) -> DataFrame:
    """message_ids whose (source, event_id) is in `held` (columns source, event_id, ingest_batch) from another batch."""
    others = held.where(F.col("ingest_batch") != batch).select("source", "event_id").distinct()
    return (
        valid.select("message_id", "source", "event_id")
        .join(others, ["source", "event_id"], "left_semi")
        .select("message_id")
    )
