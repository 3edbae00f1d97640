"""Judges event messages against their contracts: adds `errors`, an array of `code:field`, and never drops a row.

In: a frame of `envelope.with_envelope`. Out: the same rows plus `errors` (empty when valid) and `contract_version`.
Codes come from `reasons.Reason`; details name fields, never values.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, FieldContract, PiiClass, SourceContract
from jobs.ingest.reasons import Reason
from jobs.ingest.stream.envelope import exploded_json, parse_time

KNOWN_TYPES = ("track", "identify", "page", "screen", "group", "alias")
# Also as it looks inside a URL, where @ is %40.
EMAIL_LIKE = r"[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+\.[A-Za-z]{2,}"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
PROPERTY = "p_"


def _error(condition: Column, reason: Reason, field: str) -> Column:
    return F.when(condition, F.lit(f"{reason.value}:{field}"))


def _typed(value: Column, kind: str) -> Column:
    """The value cast to its declared type; NULL when it does not fit."""
    if kind == "number":
        number = F.when(value.rlike(NUMBER), value.try_cast("double"))
        return F.when(F.abs(number) < float("inf"), number)
    if kind == "integer":
        return F.when(value.rlike(r"^[+-]?\d{1,15}(\.0+)?$"), value.try_cast("double"))
    if kind == "boolean":
        return F.when(value.isin("true", "false"), value)
    if kind == "timestamp":
        return parse_time(value)
    if kind == "date":
        return F.when(value.rlike(r"^\d{4}-\d{2}-\d{2}"), F.try_to_timestamp(F.substring(value, 1, 10)))
    return value


def field_errors(value: Column, field: FieldContract, name: str) -> list[Column]:
    """One column per rule of the field: an error text, or NULL when the rule holds or does not apply."""
    typed = _typed(value, field.type)
    present = value.isNotNull()
    found = [_error(~present, Reason.MISSING_PROPERTY, name)] if field.required else []
    if field.type in ("number", "integer", "boolean", "timestamp", "date"):
        found.append(_error(present & typed.isNull(), Reason.WRONG_TYPE, name))
    if field.min is not None:
        found.append(_error(typed < field.min, Reason.OUT_OF_RANGE, name))
    if field.max is not None:
        found.append(_error(typed > field.max, Reason.OUT_OF_RANGE, name))
    if field.allowed:
        found.append(_error(present & ~value.isin(*field.allowed), Reason.NOT_ALLOWED_VALUE, name))
    if field.pattern:
        found.append(_error(present & ~value.rlike(field.pattern), Reason.PATTERN_MISMATCH, name))
    return found


def _array_errors(text: Column, field: FieldContract, name: str) -> list[Column]:
    """Errors of a property that is an array of objects: not an array, empty although required, or a bad item."""
    schema = "array<struct<" + ",".join(f"{key}:string" for key in field.items) + ">>"
    items = F.from_json(text, schema)
    found = [
        _error(text.isNull(), Reason.MISSING_PROPERTY, name) if field.required else F.lit(None).cast("string"),
        _error(text.isNotNull() & (items.isNull() | ~F.ltrim(text).startswith("[")), Reason.WRONG_TYPE, name),
    ]

    def item_errors(item: Column) -> Column:
        rules = [rule for key, inner in field.items.items() for rule in field_errors(item[key], inner, f"{name}.{key}")]
        return F.array_compact(F.array(*rules))

    nested = F.array_distinct(F.flatten(F.transform(items, item_errors)))
    return [*found, F.array_join(F.when(F.size(nested) > 0, nested), "\x1e")]


def _event_errors(contract: EventContract) -> Column:
    rules: list[Column] = []
    for name, field in contract.properties.items():
        value = F.col(PROPERTY + name)
        rules += _array_errors(value, field, name) if field.type == "array" else field_errors(value, field, name)
    return F.array_compact(F.array(*rules)) if rules else F.array().cast("array<string>")


def _envelope_errors() -> list[Column]:
    identifiers = [F.col(c) for c in ("m_userId", "m_anonymousId", "m_loyaltyId", "p_loyalty_id", "email", "phone")]
    blank = reduce(lambda a, b: a & b, [F.length(F.trim(F.coalesce(c, F.lit("")))) == 0 for c in identifiers])
    return [
        _error(F.length(F.trim(F.coalesce("m_messageId", F.lit("")))) == 0, Reason.MISSING_EVENT_ID, "messageId"),
        _error(~F.coalesce(F.col("m_type").isin(*KNOWN_TYPES), F.lit(False)), Reason.UNKNOWN_TYPE, "type"),
        _error(F.col("occurred_at").isNull(), Reason.BAD_TIMESTAMP, "timestamp"),
        _error(blank, Reason.MISSING_IDENTIFIER, "userId"),
    ]


def _payload_error() -> Column:
    """What is wrong with the text itself; such a message is judged no further."""
    return F.coalesce(
        F.col("payload_error"),
        F.when(~F.ltrim("payload").startswith("{"), F.lit(Reason.NOT_AN_OBJECT.value)),
        # Strict: also refuses duplicate keys, NaN and lone surrogates, which from_json lets through.
        F.when(F.expr("try_parse_json(payload)").isNull(), F.lit(Reason.MALFORMED_JSON.value)),
    )


def _unknown_event(sources: dict[str, SourceContract], events: dict[str, EventContract]) -> Column:
    allowed = [
        (F.col("source") == source.name) & F.col("name").isin(*[n for n in source.events if n in events])
        for source in sources.values()
        if source.kind == "events" and source.events
    ]
    lenient = [s.name for s in sources.values() if s.unknown_events == "accept"]
    known = reduce(lambda a, b: a | b, allowed, F.col("source").isin(*lenient) if lenient else F.lit(False))
    return _error(F.col("m_type").isin(*KNOWN_TYPES) & ~F.coalesce(known, F.lit(False)), Reason.UNKNOWN_EVENT, "event")


def leaks_address(value: Column) -> Column:
    """Whether a text that silver would keep as it is holds an e-mail address; FALSE for NULL."""
    return F.coalesce(value.rlike(EMAIL_LIKE), F.lit(False))


def _leaks(events: dict[str, EventContract]) -> list[Column]:
    """Errors for addresses in places that no contract declares as PII; such a message must not reach silver."""
    rebuilt = [e.name for e in events.values() if any(f.pii is not PiiClass.NONE for f in e.properties.values())]
    body = F.when(~F.coalesce(F.col("name").isin(*rebuilt), F.lit(False)), F.col("body"))
    places = {
        "properties": body,
        "context": F.col("context"),
        "consent": F.col("c_consent"),
        "anonymousId": F.col("m_anonymousId"),
        "loyaltyId": F.coalesce("m_loyaltyId", F.col(PROPERTY + "loyalty_id")),
    }
    return [_error(leaks_address(value), Reason.UNDECLARED_PII, place) for place, value in places.items()]


def with_properties(frame: DataFrame, events: dict[str, EventContract]) -> DataFrame:
    """Adds one text column `p_<property>` per property that any contract declares, and the raw e-mail and phone."""
    names = sorted({name for event in events.values() for name in event.properties} | {"loyalty_id", "email", "phone"})
    parsed = exploded_json(frame, "body", ", ".join(f"{name} string" for name in names), PROPERTY)
    is_identify = F.col("m_type") == "identify"
    return parsed.withColumns(
        {
            kind: F.coalesce(F.when(is_identify, F.col(PROPERTY + kind)), F.col(f"c_traits.{kind}"))
            for kind in ("email", "phone")
        }
    )


def with_errors(frame: DataFrame, sources: dict[str, SourceContract], events: dict[str, EventContract]) -> DataFrame:
    """Adds `errors` and `contract_version` to a frame of `with_properties`."""
    by_name = F.array().cast("array<string>")
    version = F.lit(None).cast("long")
    for contract in events.values():
        by_name = F.when(F.col("name") == contract.name, _event_errors(contract)).otherwise(by_name)
        version = F.when(F.col("name") == contract.name, F.lit(contract.version)).otherwise(version)
    judged = [*_envelope_errors(), _unknown_event(sources, events), *_leaks(events)]
    full = F.concat(F.array_compact(F.array(*judged)), by_name)
    # An array property reports its items' errors as one joined text; split them into entries again.
    flat = F.filter(F.split(F.array_join(full, "\x1e"), "\x1e"), lambda text: text != "")
    payload_error = _payload_error()
    errors = F.when(payload_error.isNotNull(), F.array(F.concat(payload_error, F.lit(":payload")))).otherwise(flat)
    return frame.withColumns({"errors": errors, "contract_version": version.cast("long")})
