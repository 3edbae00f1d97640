"""Contracts as JSON Schema (2020-12) for those who send: what passes the schema is accepted by the stream.

The schema is the stricter of the two. The stream judges the text of a value, so that it also takes what `ACCEPTED` says;
a producer who keeps to the schema never depends on that. Ours are `x-pii`, `x-outlier`, `x-key`, `x-identifier`,
`x-consent`, `x-mapping` and `x-file`.
"""

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Any

from expectations.contracts.fields import FieldContract, PiiClass
from expectations.contracts.model import EventContract, SourceContract

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
# As the stream judges it (jobs.ingest.stream.validate and envelope; a test holds them together).
ADDRESS = r"[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+\.[A-Za-z]{2,}"
TIMESTAMP = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
LARGEST_INTEGER = 999_999_999_999_999
ACCEPTED = (
    'The stream judges the text of a value. Beyond this schema it accepts: numbers and booleans as text ("12" for 12,'
    ' "true" for true), whole numbers of up to 15 digits written as 12.0, any scalar where a string is declared, null for'
    " an optional field, properties that are not declared (unless they hold an e-mail address). Do not rely on it."
)
MAPPED = (
    "Messages keep the shape of their sender. `x-mapping` says what is read from them and which events that makes; these are"
    " judged by the schemas of the events. This schema says nothing of values."
)
NO_ADDRESS: Schema = {
    "description": "No e-mail address outside fields that are declared as PII; %40 counts as @.",
    "not": {"type": "string", "pattern": ADDRESS},
    "propertyNames": {"not": {"pattern": ADDRESS}},
    "additionalProperties": {"$ref": "#/$defs/no_address"},
    "items": {"$ref": "#/$defs/no_address"},
}
NO_ADDRESS_REF: Schema = {"$ref": "#/$defs/no_address"}
FILLED: Schema = {"type": "string", "pattern": r"\S"}
CONSENT: Schema = {
    "$ref": "#/$defs/no_address",
    "type": "object",
    "properties": {"categoryPreferences": {"type": "object", "additionalProperties": {"type": "boolean"}}},
}


def slug(name: str) -> str:
    """The name as part of a file name or URN: `Order Completed` → `order_completed`."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def event_schema(event: EventContract) -> Schema:
    """One message of the event, envelope included."""
    body = "traits" if event.type == "identify" else "properties"
    names = {"type": {"const": event.type}} | ({"event": {"const": event.name}} if event.type == "track" else {})
    required = ["messageId", *names, "timestamp"]
    if any(field.required for field in event.properties.values()):
        required.append(body)
    is_alias = event.type == "alias"
    ids = ("userId", "anonymousId", "loyaltyId", *(("previousId",) if is_alias else ()))
    return {
        "$schema": DRAFT,
        "$id": _urn("event", event),
        "title": event.name,
        "description": f"{event.description} {ACCEPTED}",
        "x-version": event.version,
        "type": "object",
        "required": required,
        "properties": {
            "messageId": FILLED | {"description": "Identity of the event within its source; a repeat is dropped."},
            **names,
            "timestamp": _timestamp() | {"description": "When it happened; without a zone it is read as UTC."},
            **{name: {"type": ["string", "null"]} | _guard(name) for name in ids},
            "context": _context(),
            body: _body(event),
        },
        "anyOf": _two_ids() if is_alias else _identifiers(body),
        "$defs": {"no_address": NO_ADDRESS},
    }


def source_schema(source: SourceContract, events: Mapping[str, EventContract]) -> Schema:
    """One message of an event source, or one row of a record source."""
    head = {
        "$schema": DRAFT,
        "$id": _urn("source", source),
        "title": source.name,
        "description": f"{source.description} {MAPPED if source.mapping else ACCEPTED}",
        "x-version": source.version,
        "x-file": _file(source),
        "type": "object",
    }
    if source.mapping is not None:
        return head | _mapped(source)
    return head | (_record(source) if source.kind == "records" else _messages(source, events))


def _urn(kind: str, contract: EventContract | SourceContract) -> str:
    return f"urn:c360:{kind}:{slug(contract.name)}:v{contract.version}"


def _guard(name: str) -> Schema:
    """An e-mail address is taken as account id (it becomes a token), and nowhere else; as a former one, if written with @."""
    if name == "userId":
        return {}
    address: Schema = {"type": "string", "pattern": ADDRESS}
    return {"not": address | ({"not": {"pattern": "@"}} if name == "previousId" else {})}


def _timestamp() -> Schema:
    return {"type": "string", "format": "date-time", "pattern": TIMESTAMP}


def _context() -> Schema:
    traits = {"type": "object", "properties": {name: {"type": ["string", "null"]} for name in ("email", "phone")}}
    kept = dict.fromkeys(("page", "campaign", "locale"), NO_ADDRESS_REF)
    return {"type": "object", "properties": kept | {"consent": CONSENT, "traits": traits}}


def _body(event: EventContract) -> Schema:
    declares_pii = any(field.pii is not PiiClass.NONE for field in event.properties.values())
    # With PII declared, only declared fields go on: the rest may hold anything.
    return _object(event.properties) | ({} if declares_pii else NO_ADDRESS_REF)


def _object(fields: Mapping[str, FieldContract]) -> Schema:
    required = [name for name, field in fields.items() if field.required]
    properties = {name: field_schema(field) for name, field in fields.items()}
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _identifiers(body: str) -> list[Schema]:
    """At least one identifier that is not blank, wherever the stream looks for one."""
    own = [{"required": [name], "properties": {name: FILLED}} for name in ("userId", "anonymousId", "loyaltyId")]
    kinds = ("loyalty_id", "email", "phone") if body == "traits" else ("loyalty_id",)
    nested = [_within(body, _has(name)) for name in kinds]
    return own + nested + [_within("context", _within("traits", _has(name))) for name in ("email", "phone")]


def _two_ids() -> list[Schema]:
    """An alias says of two ids that they are one person."""
    pairs = combinations(("userId", "previousId", "anonymousId"), 2)
    return [{"required": list(pair), "properties": dict.fromkeys(pair, FILLED)} for pair in pairs]


def _has(name: str) -> Schema:
    return {"type": "object", "required": [name], "properties": {name: FILLED}}


def _within(name: str, inner: Schema) -> Schema:
    return {"type": "object", "required": [name], "properties": {name: inner}}


def field_schema(field: FieldContract) -> Schema:
    """One property as JSON; null stands for absent, and so does not serve for a required one."""
    schema = _typed(field)
    if field.allowed:
        allowed: list[object] = [int(v) if field.type == "integer" else v for v in field.allowed]
        schema["enum"] = allowed if field.required else [*allowed, None]
    if not field.required:
        schema["type"] = [schema["type"], "null"]
    return schema | _remarks(field)


def _typed(field: FieldContract) -> Schema:
    if field.type == "timestamp":
        return _timestamp()
    if field.type == "date":
        return {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
    if field.type == "array":
        return {"type": "array", "items": _object(field.items)}
    return {"type": field.type} | _bounds(field)


def _bounds(field: FieldContract) -> Schema:
    low, high = field.min, field.max
    if field.type == "integer":
        low = max(-LARGEST_INTEGER, low if low is not None else -LARGEST_INTEGER)
        high = min(LARGEST_INTEGER, high if high is not None else LARGEST_INTEGER)
    found = {"minimum": low, "maximum": high, "maxLength": field.max_length, "pattern": field.pattern}
    return {name: value for name, value in found.items() if value is not None}


def _remarks(field: FieldContract) -> Schema:
    found: Schema = {"description": field.description} if field.description else {}
    if field.pii is not PiiClass.NONE:
        found["x-pii"] = field.pii.value
    if field.outlier is not None:
        found["x-outlier"] = field.outlier.model_dump()
    return found


def _messages(source: SourceContract, events: Mapping[str, EventContract]) -> Schema:
    """The event decides which schema holds; an event that the source does not list follows its policy."""
    listed = [events[name] for name in source.events if name in events]
    rules = [{"if": _is(event), "then": {"$ref": _urn("event", event)}} for event in listed]
    schema: Schema = {"required": ["type"], "x-unknown-events": source.unknown_events}
    if rules:
        schema |= {"allOf": rules, "$defs": {slug(event.name): event_schema(event) for event in listed}}
    if source.unknown_events == "quarantine":
        schema["anyOf"] = [_is(event) for event in listed] or [False]
    return schema


def _mapped(source: SourceContract) -> Schema:
    """A message in its sender's own shape, or the columns of a row: what of it is read, and into which events."""
    assert source.mapping is not None
    mapping = source.mapping.model_dump(mode="json", exclude_defaults=True)
    return {"x-events": list(source.events), "x-mapping": mapping} | (
        {"required": list(source.columns)} if source.columns else {}
    )


def _is(event: EventContract) -> Schema:
    names = {"type": {"const": event.type}} | ({"event": {"const": event.name}} if event.type == "track" else {})
    return {"required": list(names), "properties": names}


def _record(source: SourceContract) -> Schema:
    """A row by column name. In CSV every cell is text, and an empty one stands for absent."""
    columns: dict[str, Schema] = {}
    for name, field in source.columns.items():
        bound = field.model_copy(update={"required": field.required or name in source.key})
        columns[name] = _cell(bound, source) if source.format == "csv" else field_schema(bound)
    for kind, mapped in (("x-identifier", source.identifiers), ("x-consent", source.consents)):
        for meaning, column in mapped.items():
            columns[column][kind] = meaning
    needed = [name for name, field in source.columns.items() if field.required or name in source.key]
    schema: Schema = {"properties": columns, "required": list(columns) if source.format == "csv" else needed}
    if source.format == "csv":
        schema["additionalProperties"] = False
    if source.consents:
        schema["x-consent-granted"] = list(source.consent_values.granted)
    return schema | {"x-object": source.object, "x-key": list(source.key), "x-key-case": source.key_case}


def _cell(field: FieldContract, source: SourceContract) -> Schema:
    """`pattern` binds only text and `minimum` only numbers, so one schema serves the raw cell and the parsed value."""
    schema = _bounds(field)
    kinds = ["string"] if field.type in ("string", "timestamp", "date", "object") else ["string", field.type]
    pattern = _cell_pattern(field, source)
    if pattern:
        schema["pattern"] = pattern if field.required else f"^$|{pattern}"
    if field.required:
        schema["minLength"] = 1
    if field.allowed:
        blank: list[object] = [] if field.required else ["", None]
        parsed: list[object] = [int(value) for value in field.allowed] if field.type == "integer" else []
        schema["enum"] = [*field.allowed, *parsed, *blank]
    return {"type": kinds if field.required else [*kinds, "null"]} | schema | _remarks(field)


def _cell_pattern(field: FieldContract, source: SourceContract) -> str | None:
    point = f"[{source.decimal}]"
    date = (
        source.date_format.replace(".", "[.]").replace("yyyy", r"\d{4}").replace("MM", r"\d{2}").replace("dd", r"\d{2}")
    )
    return {
        "integer": r"^[+-]?\d{1,15}$",
        "number": rf"^[+-]?(\d+({point}\d*)?|{point}\d+)$",
        "boolean": "^(true|false)$",
        "timestamp": TIMESTAMP,
        "date": f"^{date}$",
    }.get(field.type, field.pattern)


def _file(source: SourceContract) -> Schema:
    names = ["format", "encoding", "ready"]
    if source.format == "csv":
        names += ["delimiter", "decimal", "date_format", "header"]
    return {name: getattr(source, name) for name in names}
