"""Makes Segment messages of a vendor's JSON and of rows of files, as the source's contract says. Frame in, frame out.

In: rows of event sources with `source` and `payload`. Out: the same rows plus `message`, the text that the rest of the
stream reads: the payload itself for sources without a mapping. Column expressions only. Nothing is judged and nothing
filtered: what a mapping does not find is missing in the message, and what it does not know stays as it is.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from expectations.contracts import SourceContract
from expectations.contracts.mapping import ConsentRule, EventId, EventMapping, Lookup, Moment, Value
from jobs.ingest.stream import tokenize
from jobs.ingest.stream.consents import CATEGORIES
from jobs.ingest.stream.envelope import WITH_TRAITS
from jobs.privacy.keys import TokenKey

At = Callable[[str], Column]  # the value at a path
CATEGORY = {purpose: category for category, purpose in reversed(CATEGORIES.items())}
IDENTIFIERS = {"user_id": "userId", "anonymous_id": "anonymousId", "loyalty_id": "loyaltyId"}
CONTACT = ("email", "phone")
UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}
LAST_MICROSECOND = 253_402_300_799_999_999  # of the year 9999
ISO = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
JSON_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?$"
COMMA_NUMBER = r"^[+-]?\d+(,\d+)?$"


def with_message(frame: DataFrame, sources: dict[str, SourceContract], key: TokenKey) -> DataFrame:
    """Adds `message`. `key` is that of the tokens: event ids made of e-mail addresses must not be open to guessing."""
    mapped = tuple(source.model_dump_json() for source in sources.values() if source.mapping is not None)
    if not mapped:
        return frame.withColumn("message", F.col("payload"))
    return frame.withColumn("message", _expression(frame.sparkSession, mapped, key))


@lru_cache(maxsize=4)
def _expression(_session: SparkSession, mapped: tuple[str, ...], key: TokenKey) -> Column:
    """The same for every batch, and half a second to make: kept, by the session whose JVM holds it."""
    sources = [SourceContract.model_validate_json(text) for text in mapped]
    return F.coalesce(*[_made(source, key) for source in sources], F.col("payload"))


def _made(source: SourceContract, key: TokenKey) -> Column:
    """The message of a row of this source, NULL for others.

    The values are read into an array once, and a lambda makes the message of them: it is interpreted, so that the rows
    without a mapping, nearly all of them, do not carry its code.
    """
    mapping = source.mapping
    assert mapping is not None
    paths = list(dict.fromkeys(mapping.paths()))
    found = F.array(*[F.get_json_object("payload", path) for path in paths])
    filled = F.transform(found, lambda value: F.when(F.trim(value) != "", value))

    def message(values: Column) -> Column:
        places = {path: place for place, path in enumerate(paths)}
        return _message(source, mapping, lambda path: values[places[path]], key)

    return F.get(F.transform(F.when(F.col("source") == source.name, F.array(filled)), message), F.lit(0))


def _message(source: SourceContract, mapping: EventMapping, at: At, key: TokenKey) -> Column:
    kind = _looked_up(mapping.type, at) if isinstance(mapping.type, Lookup) else F.lit(mapping.type)
    name = _looked_up(mapping.name, at) if isinstance(mapping.name, Lookup) else F.lit(mapping.name).cast("string")
    if mapping.type != "track":
        name = F.when(kind == "track", name)
    fields = {
        "messageId": _event_id(mapping.event_id, at, key),
        "type": kind,
        "event": name,
        "timestamp": _moment(mapping.timestamp, at),
        **{IDENTIFIERS[k]: _scalar(at, paths) for k, paths in mapping.identifiers.items() if k in IDENTIFIERS},
        "context": _context(mapping, at, F.coalesce(name, kind)),
        **_body(mapping, at, kind, source.decimal),
    }
    return F.to_json(F.struct(*[value.alias(field) for field, value in fields.items()]))


def _body(mapping: EventMapping, at: At, kind: Column, decimal: str) -> dict[str, Column]:
    """The properties, which identify and group messages call traits."""
    if not mapping.properties:
        return {}
    body = F.struct(*[_value(at, value, decimal).alias(name) for name, value in mapping.properties.items()])
    if isinstance(mapping.type, str):
        return {"traits" if mapping.type in WITH_TRAITS else "properties": body}
    has_traits = kind.isin(*WITH_TRAITS)
    return {"properties": F.when(~has_traits, body), "traits": F.when(has_traits, body)}


def _first(at: At, paths: Sequence[str]) -> Column:
    """The first value that is there; NULL without one."""
    return at(paths[0]) if len(paths) == 1 else F.coalesce(*[at(path) for path in paths])


def _scalar(at: At, paths: Sequence[str]) -> Column:
    """The same for what can only be a single value: an object or a list identifies nobody."""
    value = _first(at, paths)
    return F.when(~F.ltrim(value).rlike(r"^[\[{]"), value)


def _words(at: At, of: Sequence[Sequence[str]]) -> list[Column]:
    """The values joined by dots, then the same with a part less at the end, down to the first alone."""
    parts = [_first(at, paths) for paths in of]
    return [F.concat_ws(".", *parts[:count]) for count in range(len(parts), 1, -1)] + [parts[0]]


def _looked_up(lookup: Lookup, at: At) -> Column:
    """What the word means: the entry of its longest form that has one, or the word itself."""
    words = _words(at, lookup.of)
    if not lookup.values:
        return words[0]
    entries = F.from_json(F.lit(json.dumps(lookup.values)), "map<string,string>")  # one literal, once it is optimised
    return F.coalesce(*[F.try_element_at(entries, word) for word in words], words[0])


def _event_id(event_id: EventId, at: At, key: TokenKey) -> Column:
    own = [_first(at, event_id.path)] if event_id.path else []
    if not event_id.hash_of:
        return own[0]
    values = [at(path) for path in event_id.hash_of]
    derived = F.when(F.coalesce(*values).isNotNull(), tokenize.fingerprint(values, key))
    return F.coalesce(*own, derived)


def _moment(moment: Moment, at: At) -> Column:
    """ISO 8601 text. What is no number of seconds or milliseconds stays as it is, for the stream to judge."""
    text = _first(at, moment.path)
    if moment.format == "iso":
        return text
    micros = (text.try_cast("decimal(20,6)") * F.lit(UNITS[moment.format])).cast("decimal(28,0)")
    instant = F.timestamp_micros(F.when(micros.between(0, LAST_MICROSECOND), micros).cast("long"))
    return F.coalesce(F.date_format(instant, ISO), text)


def _context(mapping: EventMapping, at: At, name: Column) -> Column:
    """E-mail and phone, and what the event says about consent; neither when there is nothing to say."""
    traits = {str(kind): _scalar(at, paths) for kind, paths in mapping.identifiers.items() if kind in CONTACT}
    stated = {CATEGORY[purpose]: _consent(rule, at, name) for purpose, rule in mapping.consents.items()}
    parts = []
    if traits:
        parts.append(_unless_empty(traits).alias("traits"))
    if stated:
        preferences = _unless_empty(stated)
        parts.append(
            F.when(preferences.isNotNull(), F.struct(preferences.alias("categoryPreferences"))).alias("consent")
        )
    return F.struct(*parts) if parts else F.lit(None).cast("struct<traits:string>")


def _unless_empty(fields: Mapping[str, Column]) -> Column:
    """An object of the fields, NULL when all are."""
    whole = F.struct(*[value.alias(name) for name, value in fields.items()])
    return F.when(F.coalesce(*[value.cast("string") for value in fields.values()]).isNotNull(), whole)


def _consent(rule: ConsentRule, at: At, name: Column) -> Column:
    """Whether the purpose is granted (true), denied (false) or not spoken of (NULL)."""
    words = [F.lower(F.trim(word)) for word in ([name] if rule.of is None else _words(at, rule.of))]
    granted, denied = ([text.lower() for text in texts] for texts in (rule.granted, rule.denied))

    def is_among(texts: list[str]) -> Column:
        return F.coalesce(*[F.when(word.isin(*texts), F.lit(True)) for word in words], F.lit(False))

    rules = [F.when(is_among(denied), F.lit(False))] if denied else []  # said both ways, it is a denial
    rules += [F.when(is_among(granted), F.lit(True))] if granted else []
    rules += [] if denied else [F.when(words[0] != "", F.lit(False))]
    return F.coalesce(*rules)


def _value(at: At, value: Value, decimal: str) -> Column:
    """One property, out of the row or out of an item of an array."""
    if value.constant is not None:
        return _written(F.lit(value.constant), value, decimal)
    if value.items:
        return _items(at, value, decimal)
    return _written(_first(at, value.path), value, decimal)


def _written(text: Column, value: Value, decimal: str) -> Column:
    """Text as a JSON value of its type, where it is of the type; otherwise as the text that it is."""
    if value.type == "string":
        return text
    if value.type == "number":
        if decimal == ",":
            text = F.when(text.rlike(COMMA_NUMBER), F.replace(text, F.lit(","), F.lit("."))).otherwise(text)
        is_typed = text.rlike(JSON_NUMBER)
    else:
        is_typed = text.isin("true", "false") if value.type == "boolean" else F.ltrim(text).startswith("{")
    return F.coalesce(F.when(is_typed, F.try_parse_json(text)), text.cast("variant"))


def _items(at: At, value: Value, decimal: str) -> Column:
    """An array of objects: one per element at the path, or one of the row itself. What is no array stays as it is."""

    def item(within: At) -> Column:
        return F.struct(*[_value(within, inner, decimal).alias(name) for name, inner in value.items.items()])

    if not value.path:
        return F.array(item(at))
    whole = _first(at, value.path)
    elements = F.from_json(whole, "array<string>")
    objects = F.transform(elements, lambda element: item(lambda path: F.get_json_object(element, path)))
    return F.coalesce(F.try_parse_json(F.to_json(objects)), whole.cast("variant"))
