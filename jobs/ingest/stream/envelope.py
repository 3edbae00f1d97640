"""Parses event messages: the Segment envelope, traits, consent and page context. Frame in, frame out, nothing filtered.

In: rows of bronze_messages of event sources with `message`, the Segment-shaped text (see `mapping`). Out: the same rows
plus typed envelope columns, still unjudged. What the door knows (`endpoint`, `receipt`) completes what the message says.
Each `from_json` is wrapped as `inline(array(from_json(...)))`: without that barrier Spark parses a row once per use.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

ENVELOPE = (
    "messageId string, type string, event string, userId string, anonymousId string, loyaltyId string, "
    "previousId string, groupId string, timestamp string, originalTimestamp string, receivedAt string, "
    "context string, properties string, traits string"
)
CONTEXT = (
    "page struct<path:string,title:string,url:string,referrer:string>, campaign map<string,string>, locale string, "
    "userAgent string, consent string, traits struct<email:string,phone:string>"
)
RECEIPT = "receipt_id string, gpc boolean, key_kind string, user_agent string, batch_context string"
CONSENT = "categoryPreferences map<string,string>"
TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
SUSPECT_AHEAD_SECONDS = 300
SUSPECT_BEHIND_SECONDS = 90 * 86_400


def exploded_json(frame: DataFrame, text: str, schema: str, prefix: str) -> DataFrame:
    """Adds the fields of a JSON text column as columns `<prefix><field>`; NULLs where the text does not parse."""
    parsed = frame.select("*", F.inline(F.array(F.from_json(F.coalesce(F.col(text), F.lit("{}")), schema))))
    added = [name for name in parsed.columns if name not in frame.columns]
    return parsed.withColumnsRenamed({name: prefix + name for name in added})


def parse_time(text: Column) -> Column:
    """ISO 8601 with date and time → UTC timestamp, zone-less read as UTC; NULL for anything else (also bare years)."""
    return F.when(text.rlike(TIMESTAMP), F.try_to_timestamp(text))


def _is_blank(text: Column) -> Column:
    return F.coalesce(F.trim(text) == "", F.lit(True))


def with_envelope(frame: DataFrame, trusted_sources: tuple[str, ...]) -> DataFrame:
    """Adds event_id, type, name, times, identifiers and the texts of properties, traits, context and consent.

    `trusted_sources` carry their own receipt time (historical imports); it never lies after ours. A message without id
    gets one from its place of receipt when it came through a door that says so; a file must name its events.
    """
    parsed = exploded_json(frame, "message", ENVELOPE, "m_")
    parsed = exploded_json(parsed, "receipt", RECEIPT, "r_")
    parsed = parsed.withColumns(
        {
            "m_context": F.coalesce("m_context", "r_batch_context"),
            "m_type": F.coalesce("endpoint", "m_type"),
            "m_messageId": F.when(
                _is_blank(F.col("m_messageId")) & F.col("r_receipt_id").isNotNull(),
                F.concat(F.lit("receipt-"), F.col("message_id")),
            ).otherwise(F.col("m_messageId")),
        }
    )
    parsed = exploded_json(parsed, "m_context", CONTEXT, "c_")
    parsed = exploded_json(parsed, "c_consent", CONSENT, "consent_")
    return _with_times(parsed, trusted_sources)


def _with_times(parsed: DataFrame, trusted_sources: tuple[str, ...]) -> DataFrame:
    claimed = F.when(F.col("source").isin(*trusted_sources), parse_time(F.col("m_receivedAt")))
    # A message posted without a time happened when it came in; a file has to say when.
    by_door = F.when(F.col("r_receipt_id").isNotNull(), F.col("received_at"))
    stated = F.coalesce("m_timestamp", "m_originalTimestamp")
    parsed = parsed.withColumns(
        {
            "occurred_at": F.when(stated.isNull(), by_door).otherwise(parse_time(stated)),
            "received_at": F.least(F.coalesce(claimed, F.col("received_at")), F.col("received_at")),
            "name": F.when(F.col("m_type") == "track", F.col("m_event")).otherwise(F.col("m_type")),
        }
    )
    behind = F.unix_timestamp("received_at") - F.unix_timestamp("occurred_at")
    return parsed.withColumns(
        {
            "effective_at": F.least("occurred_at", "received_at"),
            "is_time_suspect": F.coalesce(
                (behind < -SUSPECT_AHEAD_SECONDS) | (behind > SUSPECT_BEHIND_SECONDS), F.lit(False)
            ),
            "body": F.when(F.col("m_type").isin("identify", "group"), F.col("m_traits")).otherwise(
                F.col("m_properties")
            ),
            "context": F.to_json(
                F.struct(
                    F.col("c_page").alias("page"),
                    F.col("c_campaign").alias("campaign"),
                    F.col("c_locale").alias("locale"),
                )
            ),
        }
    )
