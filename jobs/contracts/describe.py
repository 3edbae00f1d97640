"""Contracts and their changes as text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping

from expectations.contracts import EventContract, FieldContract, PiiClass, SourceContract
from expectations.contracts.compatibility import Change
from expectations.contracts.sets import ContractSet

POLICIES = (
    "encoding", "delimiter", "decimal", "date_format", "header", "ready", "object", "key", "key_case", "valid_from",
    "unknown_events", "trust_received_at", "events",
)  # fmt: skip


def overview(contracts: ContractSet) -> Iterator[str]:
    """One line per contract: kind, name, version, what it holds."""
    for name, event in sorted(contracts.events.items()):
        senders = [s.name for s in contracts.sources.values() if name in s.events]
        holds = f"{len(event.properties)} properties"
        yield f"event   {name:28} v{event.version:<3} {event.type:9} {holds:14} from {_or_none(senders)}"
    yield from source_lines(contracts.sources)


def source_lines(sources: Mapping[str, SourceContract]) -> Iterator[str]:
    """One line per source."""
    for name, source in sorted(sources.items()):
        holds = _or_none(source.events) if source.kind == "events" else f"{source.object} by {', '.join(source.key)}"
        yield f"source  {name:28} v{source.version:<3} {source.kind:9} {source.format:8} {holds}"


def event_text(event: EventContract, senders: Iterable[str]) -> Iterator[str]:
    """One event with a line per property."""
    yield f"{event.name} (event, {event.type}, version {event.version}): {event.description}"
    yield f"  sent by: {_or_none(senders)}"
    yield from field_lines(event.properties, "  ")


def source_text(source: SourceContract) -> Iterator[str]:
    """One source: its format and policies as far as they are set, then a line per column."""
    yield f"{source.name} (source of {source.kind}, {source.format}, version {source.version}): {source.description}"
    for name in POLICIES:
        value = getattr(source, name)
        if value != type(source).model_fields[name].default and value not in (None, ()):
            shown = ", ".join(value) if isinstance(value, tuple) else repr(value) if name == "delimiter" else value
            yield f"  {name}: {shown}"
    for title, mapped in (("identifies by", source.identifiers), ("consents", source.consents)):
        if mapped:
            yield f"  {title}: " + ", ".join(f"{meaning} = {column}" for meaning, column in mapped.items())
    if source.consents:
        yield f"  a grant is: {', '.join(source.consent_values.granted)}; any other word is a denial"
    yield from field_lines(source.columns, "  ")


def field_lines(fields: Mapping[str, FieldContract], indent: str) -> Iterator[str]:
    """A line per field: name, type, rules; the items of an array below it."""
    for name, field in fields.items():
        yield f"{indent}{name:24} {field.type:9} {'; '.join(_rules(field))}".rstrip()
        yield from field_lines(field.items, indent + "  ")


def _rules(field: FieldContract) -> Iterator[str]:
    if field.required:
        yield "required"
    if field.pii is not PiiClass.NONE:
        yield f"PII: {field.pii.value}"
    if field.min is not None or field.max is not None:
        yield f"{_bound(field.min)} to {_bound(field.max)}"
    if field.max_length is not None:
        yield f"at most {field.max_length} characters"
    if field.pattern:
        yield f"matches {field.pattern}"
    if field.allowed:
        yield f"one of {', '.join(field.allowed)}"
    if field.outlier:
        yield f"flagged above a robust Z-score of {field.outlier.threshold:g} in {field.outlier.window_days} days"
    if field.description:
        yield field.description


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:.15g}"


def _or_none(names: Iterable[str]) -> str:
    return ", ".join(names) or "no source"


def change_line(change: Change) -> str:
    """One line per change: verdict, contract, place, what became of it."""
    verdict = "BREAKING" if change.blocks else "breaking" if change.is_breaking else "compatible"
    place = f"{change.place}: " if change.place else ""
    return f"{verdict:10}  {change.contract:28}  {place}{change.text}"


def change_summary(changes: Iterable[Change]) -> str:
    """The figures under the list."""
    found = list(changes)
    breaking = [change for change in found if change.is_breaking]
    blocking = sorted({change.contract for change in found if change.blocks})
    text = f"{len(found)} changes: {len(found) - len(breaking)} compatible, {len(breaking)} breaking"
    return f"{text}; raise the version of: {', '.join(blocking)}" if blocking else text
