"""First stream: sealed landing files → bronze_messages, exactly once. The text is not interpreted.

A micro-batch is one append under the transaction (checkpoint, batch), as Delta's own sink makes it. The files' stream, run
without end, has small batches, and writes them by `append_once`, which makes the same transaction faster.
"""

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.ingest.landing.seal import sealed_folder
from jobs.ingest.stream.small_batch import characters, is_small
from jobs.lake.checkpoints import checkpoint_id
from jobs.lake.frames import append_once, select_contract, to_arrow

QUERY = "bronze"
LINES_PER_FILE = 1_000_000_000
SEALED_SCHEMA = (
    "source string, file_name string, file_number long, line_number long, received_at timestamp, "
    "payload string, endpoint string, receipt string, payload_error string"
)


def to_bronze(sealed: DataFrame) -> DataFrame:
    """Sealed lines → rows of bronze_messages: one per line, with its place in the order of receipt."""
    origin = F.concat_ws(":", F.lit("file"), F.col("file_number"), F.col("line_number"))
    return sealed.withColumns(
        {
            "origin": origin,
            "message_id": F.sha2(F.concat_ws("\x1f", "source", origin), 256),
            "receive_position": F.col("file_number") * F.lit(LINES_PER_FILE) + F.col("line_number"),
            "landed_date": F.to_date("received_at"),
            "is_checked": F.lit(True),
        }
    )


def start_bronze(session: SparkSession, settings: Settings, *, every: str | None = None) -> StreamingQuery:
    """Starts the stream: every sealed file that is there and then an end, or with `every` a batch at that pace for ever."""
    sealed_folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    stream = (
        session.readStream.schema(SEALED_SCHEMA)
        # The age limit of Spark's file source would silently skip old files; the manifest decides, not the age.
        .option("maxFileAge", "36500d")
        .option("maxFilesPerTrigger", "40")
        .parquet(str(sealed_folder(settings)))
    )
    rows, checkpoint = to_bronze(stream), settings.checkpoints / QUERY
    if every is None:
        return write_bronze(rows, settings, QUERY, checkpoint)

    def write(batch: DataFrame, batch_id: int) -> None:
        size = batch.agg(F.count("*"), characters()).toArrow()
        is_small_batch = is_small(settings, *(column[0].as_py() for column in size.columns))
        rows = to_arrow(batch, "bronze_messages") if is_small_batch else batch
        app_id = checkpoint_id(settings, QUERY)
        append_once(rows, settings, "bronze_messages", app_id=app_id, version=batch_id)

    writer = rows.writeStream.queryName(QUERY).foreachBatch(write).option("checkpointLocation", str(checkpoint))
    return writer.trigger(processingTime=every).start()


def write_bronze(
    frame: DataFrame, settings: Settings, name: str, checkpoint: Path, *, every: str | None = None
) -> StreamingQuery:
    """Starts the stream `name` into bronze_messages, by Delta's own sink; each topic has a checkpoint of its own."""
    writer = (
        select_contract(frame, "bronze_messages")
        .writeStream.queryName(name)
        .format("delta")
        .option("checkpointLocation", str(checkpoint))
        .partitionBy(*lake_table("bronze_messages").partition_by)
    )
    paced = writer.trigger(processingTime=every) if every else writer.trigger(availableNow=True)
    return paced.start(str(lake_table("bronze_messages").path(settings)))


def run_bronze(session: SparkSession, settings: Settings) -> int:
    """Loads every sealed file not loaded yet, then stops; returns the rows read by this run."""
    query = start_bronze(session, settings)
    query.awaitTermination()
    return sum(int(progress["numInputRows"]) for progress in query.recentProgress)
