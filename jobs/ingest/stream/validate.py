"""Judges event messages against their contracts: adds `errors`, an array of `code:field`, and never drops a row.

In: a frame of `envelope.with_envelope`. Out: the same rows plus `errors` (empty when valid) and `contract_version`.
The rules of an event's properties are asked of the sources that may send it; elsewhere it is `unknown_event` and no more.
Codes come from `reasons.Reason`; details name fields, never values. A rule is a text or NULL, and a row's rules are
joined to one text: good rows, nearly all of them, build no arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.contracts import EventContract, FieldContract, PiiClass, SourceContract
from jobs.ingest.reasons import Reason
from jobs.ingest.stream.envelope import parse_time

IDS = ("messageId", "userId", "anonymousId", "loyaltyId", "previousId", "groupId")
KNOWN_TYPES = ("track", "identify", "page", "screen", "group", "alias")
# Also as it looks inside a URL, where @ is %40.
EMAIL_LIKE = r"[A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+\.[A-Za-z]{2,}"
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
INTEGER = r"^[+-]?\d{1,15}(\.0+)?$"
ISO_DATE = "yyyy-MM-dd"
NEXT = "\x1e"  # between the errors of a row
LONGEST_ID = 1_024  # characters; an id is repeated for each identifier and statement of its message


def error(condition: Column, reason: Reason, field: str) -> Column:
    """`code:field` where the condition holds, NULL elsewhere."""
    return F.when(condition, F.lit(f"{reason.value}:{field}"))


def joined(rules: list[Column]) -> Column:
    """All errors of the rules as one text, empty when none is broken."""
    return F.concat_ws(NEXT, *rules) if rules else F.lit("")


def as_array(errors: Column) -> Column:
    """A joined text as an array of errors."""
    return F.when(errors == "", F.array().cast("array<string>")).otherwise(F.array_distinct(F.split(errors, NEXT)))


def _number(value: Column) -> Column:
    number = F.when(value.rlike(NUMBER), value.try_cast("double"))
    return F.when(F.abs(number) < float("inf"), number)


def _date(value: Column, date_format: str) -> Column:
    if date_format == ISO_DATE:
        return F.when(value.rlike(r"^\d{4}-\d{2}-\d{2}([T ].*)?$"), F.try_to_timestamp(F.substring(value, 1, 10)))
    return F.when(F.length(value) == len(date_format), F.try_to_timestamp(value, F.lit(date_format)))


def _typed(value: Column, kind: str, date_format: str) -> Column:
    """The value cast to its declared type; NULL when it does not fit."""
    typed: dict[str, Callable[[Column], Column]] = {
        "number": _number,
        "integer": lambda text: F.when(text.rlike(INTEGER), text.try_cast("double")),
        "boolean": lambda text: F.when(text.isin("true", "false"), text),
        "timestamp": parse_time,
        "date": lambda text: _date(text, date_format),
        "object": lambda text: F.when(F.ltrim(text).startswith("{"), text),
    }
    return typed[kind](value) if kind in typed else value


def field_errors(value: Column, field: FieldContract, name: str, date_format: str = ISO_DATE) -> list[Column]:
    """One column per rule of the field: an error text, or NULL when the rule holds or does not apply."""
    typed = _typed(value, field.type, date_format)
    present = value.isNotNull()
    found = [error(~present, Reason.MISSING_PROPERTY, name)] if field.required else []
    if field.type == "date":
        found.append(error(present & typed.isNull(), Reason.BAD_TIMESTAMP, name))
    elif field.type != "string":
        found.append(error(present & typed.isNull(), Reason.WRONG_TYPE, name))
    if field.min is not None:
        found.append(error(typed < field.min, Reason.OUT_OF_RANGE, name))
    if field.max is not None:
        found.append(error(typed > field.max, Reason.OUT_OF_RANGE, name))
    if field.max_length is not None:
        found.append(error(F.length(value) > field.max_length, Reason.TOO_LONG, name))
    if field.allowed:
        found.append(error(present & ~value.isin(*field.allowed), Reason.NOT_ALLOWED_VALUE, name))
    if field.pattern:
        found.append(error(present & ~value.rlike(field.pattern), Reason.PATTERN_MISMATCH, name))
    return found


def _array_errors(text: Column, field: FieldContract, name: str) -> list[Column]:
    """Errors of a property that is an array of objects: not an array, empty although required, or a bad item.

    Lambdas over arrays are interpreted, not compiled: one cheap look says whether any item is bad, and only then are the
    errors of all items spelled out.
    """
    schema = "array<struct<" + ",".join(f"`{key}`:string" for key in field.items) + ">>"
    items = F.from_json(text, schema)
    found = [
        error(text.isNotNull() & (items.isNull() | ~F.ltrim(text).startswith("[")), Reason.WRONG_TYPE, name),
    ]
    if field.required:
        found.append(error(text.isNull() | (F.size(items) == 0), Reason.MISSING_PROPERTY, name))
    if not field.items:
        return found

    def item_errors(item: Column) -> list[Column]:
        return [rule for key, inner in field.items.items() for rule in field_errors(item[key], inner, f"{name}.{key}")]

    every = F.flatten(F.transform(items, lambda item: F.array_compact(F.array(*item_errors(item)))))
    is_bad = F.exists(items, lambda item: F.coalesce(*item_errors(item)).isNotNull())
    return [*found, F.when(is_bad, F.array_join(F.array_distinct(every), NEXT))]


def prop(name: str) -> Column:
    """A property of the message as text; the name may hold anything."""
    return F.col("p")[name]


def _property_errors(events: dict[str, EventContract]) -> list[Column]:
    """The rules of all events' properties, each once: a property that ten events declare alike is judged by one
    expression for the ten, and the rules that the same events share stand behind one look at the name.
    """
    alike: dict[tuple[str, str], tuple[str, FieldContract, list[str]]] = {}
    for contract in events.values():
        for name, field in contract.properties.items():
            rules_only = field.model_dump_json(exclude={"description", "outlier", "pii"})
            alike.setdefault((name, rules_only), (name, field, []))[2].append(contract.name)
    shared: dict[tuple[str, ...], list[Column]] = {}
    for name, field, of_events in alike.values():
        value = prop(name)
        rules = _array_errors(value, field, name) if field.type == "array" else field_errors(value, field, name)
        shared.setdefault(tuple(of_events), []).extend(rules)
    return [
        F.when(F.col("name").isin(*of_events), F.nullif(joined(rules), F.lit("")))
        for of_events, rules in shared.items()
        if rules
    ]


def _is_blank(column: str) -> Column:
    return F.coalesce(F.trim(F.col(column)) == "", F.lit(True))


def _names_two() -> Column:
    """An alias says of two ids that they are one person; one alone says nothing."""
    given = [F.when(_is_blank(f"m.{name}"), 0).otherwise(1) for name in ("userId", "previousId", "anonymousId")]
    return reduce(lambda a, b: a + b, given) >= 2


def _envelope_errors() -> list[Column]:
    named = ("m.userId", "m.anonymousId", "m.loyaltyId", "p.loyalty_id", "email", "phone", "m.previousId", "m.groupId")
    blank = reduce(lambda a, b: a & b, map(_is_blank, named))
    return [
        error(F.coalesce(F.trim("event_id") == "", F.lit(True)), Reason.MISSING_EVENT_ID, "messageId"),
        error(~F.coalesce(F.col("type").isin(*KNOWN_TYPES), F.lit(False)), Reason.UNKNOWN_TYPE, "type"),
        error(F.col("occurred_at").isNull(), Reason.BAD_TIMESTAMP, "timestamp"),
        error(blank, Reason.MISSING_IDENTIFIER, "userId"),
        error((F.col("type") == "alias") & ~blank & ~_names_two(), Reason.MISSING_IDENTIFIER, "previousId"),
        *[error(F.length(f"m.{name}") > LONGEST_ID, Reason.TOO_LONG, name) for name in IDS],
    ]


def is_known(sources: dict[str, SourceContract], events: dict[str, EventContract]) -> Column:
    """Whether the row's source may send an event of this type and name; a source that takes any event may."""
    allowed = [
        (F.col("source") == source.name) & (F.col("type") == kind) & F.col("name").isin(*names)
        for source in sources.values()
        for kind, names in _names_by_type(source, events).items()
    ]
    lenient = [s.name for s in sources.values() if s.unknown_events == "accept"]
    known = reduce(lambda a, b: a | b, allowed, F.col("source").isin(*lenient) if lenient else F.lit(False))
    return F.coalesce(known, F.lit(False))


def that_matter(sources: dict[str, SourceContract], events: dict[str, EventContract]) -> dict[str, EventContract]:
    """The events that these sources may send: what the others ask can change nothing."""
    if any(source.unknown_events == "accept" for source in sources.values()):
        return events
    named = {name for source in sources.values() for name in source.events}
    return {name: event for name, event in events.items() if name in named}


def _names_by_type(source: SourceContract, events: dict[str, EventContract]) -> dict[str, list[str]]:
    """A track event that calls itself `page` is no page."""
    found: dict[str, list[str]] = {}
    for name in source.events:
        if name in events:
            found.setdefault(events[name].type, []).append(name)
    return found


def leaks_address(value: Column) -> Column:
    """Whether a text that silver would keep as it is holds an e-mail address; FALSE for NULL."""
    # The pattern is tried only where an address could be: it is slow on long texts.
    suspect = value.contains("@") | value.contains("%40")
    return F.coalesce(suspect & value.rlike(EMAIL_LIKE), F.lit(False))


def _leaks(events: dict[str, EventContract]) -> list[Column]:
    """Errors for addresses in places that no contract declares as PII; such a message must not reach silver."""
    rebuilt = [e.name for e in events.values() if any(f.pii is not PiiClass.NONE for f in e.properties.values())]
    is_rebuilt = F.col("is_known") & F.col("name").isin(*rebuilt) if rebuilt else F.lit(False)
    places = {
        "properties": F.when(~is_rebuilt, F.col("body")),
        "context": F.col("context"),
        "consent": F.col("c.consent"),
        "anonymousId": F.col("m.anonymousId"),
        # Of an alias alone; with an @ it becomes a token, as an account id does.
        "previousId": F.when((F.col("type") == "alias") & ~F.col("m.previousId").contains("@"), F.col("m.previousId")),
        "loyaltyId": F.coalesce("m.loyaltyId", prop("loyalty_id")),
    }
    return [error(leaks_address(value), Reason.UNDECLARED_PII, place) for place, value in places.items()]


def property_names(events: dict[str, EventContract]) -> list[str]:
    """Every property that one of the contracts declares, and the three that identify."""
    return sorted({name for event in events.values() for name in event.properties} | {"loyalty_id", "email", "phone"})


def with_contacts(frame: DataFrame) -> DataFrame:
    """Adds the raw e-mail and phone: of an identify's traits, or of the context's."""
    is_identify = F.col("type") == "identify"
    return frame.withColumns(
        {kind: F.coalesce(F.when(is_identify, prop(kind)), F.col(f"c.traits.{kind}")) for kind in ("email", "phone")}
    )


@dataclass(frozen=True)
class Rules:
    """What sources and events ask of a message, as columns over a frame of `with_contacts`.

    Building them takes longer than judging a small batch: whoever judges many batches keeps them, as long as its session.
    """

    is_known: Column
    error_text: Column
    contract_version: Column


def rules_of(sources: dict[str, SourceContract], events: dict[str, EventContract]) -> Rules:
    """The rules of messages from these sources."""
    versions = F.create_map(*[F.lit(part) for e in events.values() for part in (e.name, e.version)])
    matter = that_matter(sources, events)
    unknown = error(F.col("type").isin(*KNOWN_TYPES) & ~F.col("is_known"), Reason.UNKNOWN_EVENT, "event")
    of_event = F.when(F.col("is_known"), F.nullif(joined(_property_errors(matter)), F.lit("")))
    every = joined([*_envelope_errors(), unknown, *_leaks(matter), of_event])
    return Rules(
        is_known=is_known(sources, events),
        error_text=F.when(F.col("text_error").isNotNull(), F.concat("text_error", F.lit(":payload"))).otherwise(every),
        contract_version=F.coalesce(versions[F.col("name")].cast("long"), F.lit(0)),
    )


def with_errors(frame: DataFrame, rules: Rules) -> DataFrame:
    """Adds `errors` and `contract_version` to a frame of `with_contacts`."""
    judged = frame.withColumn("is_known", rules.is_known).withColumns(
        {"error_text": rules.error_text, "contract_version": rules.contract_version}
    )
    return judged.withColumn("errors", as_array(F.col("error_text"))).drop("error_text")
