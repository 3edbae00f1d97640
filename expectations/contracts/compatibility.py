"""What a change of contracts does to those who send and those who read: compatible, or breaking.

Breaking: a message or file that was accepted may be refused, held, or kept differently; or what readers of silver were
promised by name, type or protection is gone. Compatible: all that was accepted stays accepted and means the same; readers
may meet new fields, and values that were refused before. What no contract declared was promised to nobody.

A breaking change is covered when the `version` of its contract is raised. A removed event has no version left: it is
covered when every source that listed it has raised its own, or is gone. A removed source is never covered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from expectations.contracts.fields import FieldContract, Frozen, PiiClass
from expectations.contracts.mapping import EventMapping
from expectations.contracts.model import EventContract, SourceContract
from expectations.contracts.sets import ContractSet


@dataclass(frozen=True)
class Difference:
    """One difference: where in its contract (dotted path), what became of it, and whether that breaks somebody."""

    place: str
    text: str
    is_breaking: bool


@dataclass(frozen=True)
class Change:
    """A difference with the contract it belongs to; `is_covered` says that the version was raised for it."""

    contract: str
    place: str
    text: str
    is_breaking: bool
    is_covered: bool

    @property
    def blocks(self) -> bool:
        """Whether the change must not be published as it is."""
        return self.is_breaking and not self.is_covered


Differences = Iterator[Difference]
# Source settings where one direction breaks: the value that, when it is new, refuses what was accepted.
STRICT_VALUES = {"header": "strict", "ready": "marker", "unknown_events": "quarantine"}
# What has a rule of its own below; any other part of a contract breaks when it changes.
RULED_SOURCE = (
    "name",
    "version",
    "description",
    "events",
    "columns",
    "mapping",
    "identifiers",
    "consents",
    *STRICT_VALUES,
)
RULED_EVENT = ("name", "version", "description", "properties")
RULED_FIELD = (
    "required",
    "type",
    "min",
    "max",
    "max_length",
    "pattern",
    "allowed",
    "outlier",
    "description",
    "person",
    "items",
)


def compare(old: ContractSet, new: ContractSet) -> list[Change]:
    """Every difference between two sets of contracts, events first, each set in the order of its names."""
    changes: list[Change] = []
    for name in sorted({*old.events, *new.events}):
        before, after = old.events.get(name), new.events.get(name)
        if before is None or after is None:
            covered = after is not None or _senders_moved_on(name, old, new)
            changes.append(_whole(f"event {name}", is_removed=after is None, is_covered=covered))
        else:
            changes += _versioned(f"event {name}", before.version, after.version, compare_events(before, after))
    for name in sorted({*old.sources, *new.sources}):
        source, successor = old.sources.get(name), new.sources.get(name)
        if source is None or successor is None:
            changes.append(_whole(f"source {name}", is_removed=successor is None, is_covered=False))
        else:
            found = compare_sources(source, successor)
            changes += _versioned(f"source {name}", source.version, successor.version, found)
    return changes


def _whole(contract: str, *, is_removed: bool, is_covered: bool) -> Change:
    text = "removed: its messages are refused" if is_removed else "added"
    return Change(contract, "", text, is_breaking=is_removed, is_covered=is_covered)


def _senders_moved_on(event: str, old: ContractSet, new: ContractSet) -> bool:
    senders = [source for source in old.sources.values() if event in source.events]
    left = [new.sources[s.name].version > s.version for s in senders if s.name in new.sources]
    return all(left)


def _versioned(label: str, old: int, new: int, found: Differences) -> Iterator[Change]:
    if new < old:
        yield Change(label, "version", f"went back from {old} to {new}", is_breaking=True, is_covered=False)
    elif new > old:
        yield Change(label, "version", f"{old} → {new}", is_breaking=False, is_covered=True)
    for difference in found:
        yield Change(label, difference.place, difference.text, difference.is_breaking, is_covered=new > old)


def compare_events(old: EventContract, new: EventContract) -> Differences:
    """Differences between two versions of one event, the version itself aside."""
    yield from _unruled(old, new, RULED_EVENT, "")
    yield from _fields(old.properties, new.properties, "properties")
    if not _declares_pii(old) and _declares_pii(new):
        yield Difference("properties", "first PII of the event: from here on only declared properties are kept", True)


def _declares_pii(event: EventContract) -> bool:
    return any(field.pii is not PiiClass.NONE for field in event.properties.values())


def compare_sources(old: SourceContract, new: SourceContract) -> Differences:
    """Differences between two versions of one source, the version itself aside."""
    yield from _unruled(old, new, RULED_SOURCE, "")
    for name, strict in STRICT_VALUES.items():
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield Difference(name, f"{before} → {after}", after == strict)
    yield from _named(dict.fromkeys(old.events, ""), dict.fromkeys(new.events, ""), "events")
    yield from _mapping(old.mapping, new.mapping)
    yield from _named(old.identifiers, new.identifiers, "identifiers")
    yield from _named(old.consents, new.consents, "consents")
    yield from _fields(old.columns, new.columns, "columns", is_closed=new.format == "csv")
    common = [name for name in old.columns if name in new.columns]
    if common != [name for name in new.columns if name in old.columns]:
        yield Difference("columns", "in another order", new.format == "csv" and new.header == "strict")


def _unruled(old: Frozen, new: Frozen, ruled: tuple[str, ...], place: str) -> Differences:
    """What has no rule of its own breaks; only the words for people do not."""
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and name not in ruled:
            yield Difference(f"{place}{name}", f"{_shown(before)} → {_shown(after)}", True)
        elif before != after and name == "description":
            yield Difference(f"{place}{name}", "reworded", False)


def _named(old: Mapping[str, str], new: Mapping[str, str], place: str) -> Differences:
    """A mapping (or list) by name: what was said may not change, more may be said."""
    for name in old:
        if name not in new:
            yield Difference(f"{place}.{name}", "removed", True)
        elif old[name] != new[name]:
            yield Difference(f"{place}.{name}", f"{old[name]} → {new[name]}", True)
    for name in new:
        if name not in old:
            yield Difference(f"{place}.{name}", "added", False)


def _mapping(old: EventMapping | None, new: EventMapping | None) -> Differences:
    """More may be read from a message; what was read may not come from elsewhere, nor be told apart in another way."""
    if old is None or new is None:
        if old != new:
            yield Difference("mapping", "added" if old is None else "removed", True)
        return
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for part in ("identifiers", "properties", "consents"):
        yield from _named(_texts(before.pop(part)), _texts(after.pop(part)), f"mapping.{part}")
    if isinstance(before["name"], dict) and isinstance(after["name"], dict):
        was, now = before["name"].pop("values"), after["name"].pop("values")
        for difference in _named(was, now, "mapping.name.values"):
            # A finer word (`cleaned.hard`) takes its messages from the coarser one.
            is_finer = "." in difference.place.removeprefix("mapping.name.values.")
            yield Difference(difference.place, difference.text, difference.is_breaking or is_finer)
    for part in before:
        if before[part] != after[part]:
            yield Difference(f"mapping.{part}", f"{before[part]} → {after[part]}", True)


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}


def _fields(
    old: Mapping[str, FieldContract], new: Mapping[str, FieldContract], place: str, *, is_closed: bool = False
) -> Differences:
    """`is_closed`: no other fields may be sent, as in CSV, so that another field refuses the old files."""
    for name in old:
        if name not in new:
            yield Difference(f"{place}.{name}", "removed", True)
        else:
            yield from _field(old[name], new[name], f"{place}.{name}")
    for name, field in new.items():
        if name not in old and is_closed:
            yield Difference(f"{place}.{name}", "added: files without the column are refused", True)
        elif name not in old:
            yield Difference(f"{place}.{name}", "added, required" if field.required else "added", field.required)


def _field(old: FieldContract, new: FieldContract, place: str) -> Differences:
    if old.type != new.type:
        yield Difference(f"{place}.type", f"{old.type} → {new.type}", (old.type, new.type) != ("integer", "number"))
    if old.required != new.required:
        yield Difference(f"{place}.required", "now required" if new.required else "no longer required", new.required)
    yield from _unruled(old, new, RULED_FIELD, f"{place}.")
    yield from _bound(old.min, new.min, f"{place}.min", is_floor=True)
    yield from _bound(old.max, new.max, f"{place}.max")
    yield from _bound(old.max_length, new.max_length, f"{place}.max_length")
    if old.pattern != new.pattern:
        yield Difference(f"{place}.pattern", f"{_shown(old.pattern)} → {_shown(new.pattern)}", new.pattern is not None)
    yield from _allowed(old.allowed, new.allowed, f"{place}.allowed")
    if old.outlier != new.outlier:
        yield Difference(f"{place}.outlier", "changed: rows are flagged otherwise, and kept", False)
    if old.person != new.person:
        yield Difference(f"{place}.person", "changed: records of people are matched by it, or no longer", False)
    yield from _fields(old.items, new.items, f"{place}.items")


def _bound(old: float | None, new: float | None, place: str, *, is_floor: bool = False) -> Differences:
    if old != new:
        is_narrower = new is not None and (old is None or (new > old if is_floor else new < old))
        yield Difference(place, f"{_shown(old)} → {_shown(new)}", is_narrower)


def _allowed(old: tuple[str, ...], new: tuple[str, ...], place: str) -> Differences:
    """An empty list allows everything."""
    if not old and new:
        yield Difference(place, f"now only {', '.join(new)}", True)
    elif old and not new:
        yield Difference(place, "anything is allowed", False)
    else:
        gone = [value for value in old if value not in new]
        more = [value for value in new if value not in old]
        if gone:
            yield Difference(place, f"no longer {', '.join(gone)}", True)
        if more:
            yield Difference(place, f"also {', '.join(more)}", False)


def _shown(value: object) -> str:
    return "unset" if value is None or value == () else f"{value:g}" if isinstance(value, float) else str(value)
