"""Kafka records → rows of bronze_messages. Column expressions; the text is kept, not interpreted.

In: the columns of Spark's Kafka source with headers. received_at is our clock when the micro-batch is planned: a producer
sets the record's own timestamp as it likes, and brokers' clocks differ. The record's key and its headers are dropped, except
headers that the settings name; only the first hundred headers are looked at.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.core.settings import Settings
from jobs.ingest.kafka.ledger import KnownTopic
from jobs.ingest.kafka.note import HEADER, SCHEMA
from jobs.ingest.kafka.position import BASE, OFFSET_FACTOR, TOPIC_FACTOR
from jobs.ingest.landing.files import LOG_SOURCE
from jobs.ingest.reasons import Reason

MAX_HEADERS = 100
HEADER_CHARS = 1_000
UTF8_MARK = "\ufeff"


def to_bronze(records: DataFrame, settings: Settings, life: KnownTopic, source: str | None) -> DataFrame:
    """Every record as one row; `source` None reads what the collector has noted beside each message."""
    given = _kept(records, settings, source) if source is not None else _noted(records)
    origin = F.concat_ws(":", F.lit("kafka"), F.lit(life.label), F.col("partition"), F.col("offset"))
    place = (F.col("offset") + F.lit(life.base)) * F.lit(OFFSET_FACTOR) + F.col("partition")
    landed = given.withColumn("received_at", F.coalesce("noted_at", _now(settings))).withColumn("origin", origin)
    return landed.withColumns(
        {
            "message_id": F.sha2(F.concat_ws("\x1f", "source", "origin"), 256),
            "receive_position": F.lit(BASE + life.number * TOPIC_FACTOR) + place,
            "landed_date": F.to_date("received_at"),
            "file_name": F.lit(None).cast("string"),
        }
    )


def _now(settings: Settings) -> Column:
    """Our clock: the fixed one, or the time of the micro-batch, which is the same when it is delivered again."""
    return F.current_timestamp() if settings.now is None else F.lit(settings.now)


def _header(name: str) -> Column:
    """The value of the first header of this name among the first hundred; NULL without one."""
    first = F.slice(F.col("headers"), 1, MAX_HEADERS)
    return F.get(F.filter(first, lambda header: header["key"] == name), F.lit(0))["value"]


def _as_text(raw: Column) -> Column:
    """Bytes as text where they are plain UTF-8 (no NUL, no byte order mark), otherwise `base64:…`; as the doors do it."""
    return F.when(_is_text(raw), raw.cast("string")).otherwise(F.concat(F.lit("base64:"), F.base64(raw)))


def _is_text(raw: Column) -> Column:
    text = raw.cast("string")
    return F.is_valid_utf8(text) & ~text.contains("\x00") & ~text.startswith(UTF8_MARK)


def _kept(records: DataFrame, settings: Settings, source: str) -> DataFrame:
    """Records of somebody else's producer: nothing but the value is believed, and the stream judges its text."""
    value, limit = F.col("value"), settings.kafka_record_bytes
    is_long = F.length(value) > limit
    head = F.when(is_long, F.substring(value, 1, limit)).otherwise(value)
    error = (
        F.when(value.isNull() | (F.length(value) == 0), Reason.EMPTY.value)
        .when(is_long, Reason.TOO_LONG.value)
        .when(~_is_text(value), Reason.INVALID_ENCODING.value)
    )
    names = [name for name in settings.kafka_headers.split(",") if name]
    wanted = [F.substring(_as_text(_header(name)), 1, HEADER_CHARS).alias(name) for name in names]
    parts = {
        "bytes": F.when(is_long, F.length(value)),
        "sha256": F.when(is_long, F.sha2(value, 256)),
        "headers": F.when(F.coalesce(*wanted).isNotNull(), F.struct(*wanted)) if wanted else F.lit(None).cast("string"),
    }
    receipt = F.to_json(F.struct(*[part.alias(name) for name, part in parts.items()]))
    return records.select(
        "partition",
        "offset",
        F.lit(source).alias("source"),
        F.lit(None).cast("timestamp").alias("noted_at"),
        _as_text(head).alias("payload"),
        F.lit(None).cast("string").alias("endpoint"),
        F.when(receipt != "{}", receipt).alias("receipt"),
        error.alias("payload_error"),
        F.lit(False).alias("is_checked"),
    )


def _noted(records: DataFrame) -> DataFrame:
    """Records that the collector wrote. One without its note is nobody's message: kept, and set aside."""
    noted = records.withColumn("note", F.from_json(_header(HEADER).cast("string"), SCHEMA))
    is_ours = F.col("note.source").isNotNull() & F.col("note.received_us").isNotNull()
    is_text = _is_text(F.col("value"))
    error = (
        F.when(~F.coalesce(is_ours, F.lit(False)), Reason.UNKNOWN_SOURCE.value)
        .when(F.col("note.error").isNotNull(), F.col("note.error"))
        .when(~F.coalesce(is_text, F.lit(False)), Reason.INVALID_ENCODING.value)
    )
    return noted.select(
        "partition",
        "offset",
        F.when(is_ours, F.col("note.source")).otherwise(F.lit(LOG_SOURCE)).alias("source"),
        F.when(is_ours, F.timestamp_micros("note.received_us")).alias("noted_at"),
        _as_text(F.col("value")).alias("payload"),
        F.when(is_ours, F.col("note.endpoint")).alias("endpoint"),
        F.when(is_ours, F.col("note.receipt")).alias("receipt"),
        error.alias("payload_error"),
        F.lit(True).alias("is_checked"),
    )
