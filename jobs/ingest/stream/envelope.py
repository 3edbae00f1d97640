"""Parses event messages: the Segment envelope, traits, consent and page context. Frame in, frame out, nothing filtered.

In: rows of bronze_messages of event sources with `message`, the Segment-shaped text (see `mapping`). Out: the same rows
plus typed envelope columns, still unjudged. What the door knows (`endpoint`, `receipt`) completes what the message says.

What is parsed stays in structs (`m` message, `r` receipt, `c` context, `p` properties): a row is copied at every step, and
four fields are copied faster than a hundred.
"""

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

CONTEXT = (
    "page struct<path:string,title:string,url:string,referrer:string>, campaign map<string,string>, locale string, "
    "userAgent string, consent string, traits struct<email:string,phone:string>"
)
NESTED_CONTEXT = (
    "context struct<page:struct<path:string,title:string,url:string,referrer:string>,campaign:map<string,string>,"
    "locale:string,userAgent:string,consent:string,traits:struct<email:string,phone:string>>"
)
ENVELOPE = (
    "messageId string, type string, event string, userId string, anonymousId string, loyaltyId string, "
    "previousId string, groupId string, timestamp string, originalTimestamp string, receivedAt string, "
    f"{NESTED_CONTEXT}, properties string, traits string"
)
RECEIPT = "receipt_id string, gpc boolean, key_kind string, user_agent string, batch_context string"
CONSENT = "categoryPreferences map<string,string>"
WITH_TRAITS = ("identify", "group")
TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
TIME_RANGE = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")
SUSPECT_AHEAD_SECONDS = 300
SUSPECT_BEHIND_SECONDS = 90 * 86_400


def computed_once(frame: DataFrame, columns: dict[str, Column]) -> DataFrame:
    """Adds the columns behind a barrier: without it Spark parses a JSON text once per use of one of its fields."""
    return frame.select("*", F.inline(F.array(F.struct(*[value.alias(name) for name, value in columns.items()]))))


def parse_time(text: Column) -> Column:
    """ISO 8601 with date and time → UTC timestamp, zone-less read as UTC; NULL for anything else: bare years, and moments
    that a zone moves out of the years 1 to 9999, which no other engine can hold."""
    moment = F.when(text.rlike(TIMESTAMP), F.try_to_timestamp(text))
    return F.when(moment.between(*[F.lit(edge).cast("timestamp") for edge in TIME_RANGE]), moment)


def _is_blank(text: Column) -> Column:
    return F.coalesce(F.trim(text) == "", F.lit(True))


def with_envelope(frame: DataFrame, trusted_sources: tuple[str, ...], properties: Iterable[str]) -> DataFrame:
    """Adds type, event_id, name, times, consent, and the structs m, r, c and p; `body` is the text of p.

    `trusted_sources` carry their own receipt time (historical imports); it never lies after ours. A message without id
    gets one from its place of receipt when it came through a door that says so; a file must name its events.
    `properties` are read as texts, whichever event has them.
    """
    parsed = computed_once(
        frame, {"m": F.from_json("message", ENVELOPE), "r": F.from_json("receipt", RECEIPT)}
    ).withColumns(
        {
            "type": F.coalesce("endpoint", "m.type"),
            "event_id": F.when(
                _is_blank(F.col("m.messageId")) & F.col("r.receipt_id").isNotNull(),
                F.concat(F.lit("receipt-"), F.col("message_id")),
            ).otherwise(F.col("m.messageId")),
        }
    )
    body = F.when(F.col("type").isin(*WITH_TRAITS), F.col("m.traits")).otherwise(F.col("m.properties"))
    by_batch = F.when(F.col("r.batch_context").isNotNull(), F.from_json("r.batch_context", CONTEXT))
    context = F.coalesce("m.context", by_batch)
    fields = ", ".join(f"`{name}` string" for name in properties)
    parsed = computed_once(
        parsed,
        {
            "body": body,
            "c": context,
            "p": F.from_json(body, fields),
            "preferences": F.from_json(context["consent"], CONSENT)["categoryPreferences"],
        },
    )
    return _with_times(parsed, trusted_sources)


def _with_times(parsed: DataFrame, trusted_sources: tuple[str, ...]) -> DataFrame:
    claimed = F.when(F.col("source").isin(*trusted_sources), parse_time(F.col("m.receivedAt")))
    # A message posted without a time happened when it came in; a file has to say when.
    by_door = F.when(F.col("r.receipt_id").isNotNull(), F.col("received_at"))
    stated = F.coalesce("m.timestamp", "m.originalTimestamp")
    parsed = parsed.withColumns(
        {
            "occurred_at": F.when(stated.isNull(), by_door).otherwise(parse_time(stated)),
            "received_at": F.least(F.coalesce(claimed, F.col("received_at")), F.col("received_at")),
            "name": F.when(F.col("type") == "track", F.col("m.event")).otherwise(F.col("type")),
        }
    )
    behind = F.unix_timestamp("received_at") - F.unix_timestamp("occurred_at")
    kept = F.struct(*[F.col(f"c.{name}").alias(name) for name in ("page", "campaign", "locale")])
    return parsed.withColumns(
        {
            "effective_at": F.least("occurred_at", "received_at"),
            "is_time_suspect": F.coalesce(
                (behind < -SUSPECT_AHEAD_SECONDS) | (behind > SUSPECT_BEHIND_SECONDS), F.lit(False)
            ),
            "context": F.to_json(kept),
        }
    )
