"""Writes the first contract of a source, and of the events it sends, from a sample; never over one that is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from expectations.contracts import EventContract, SourceContract
from expectations.contracts.json_schema import slug
from jobs.contracts.infer import Columns, Inferred, candidate_key, infer_columns, is_unique
from jobs.contracts.sampling import Sample, fill
from jobs.core.errors import PermanentError, UsageError

HEADER = (
    "# First contract, inferred from {rows:,} rows of {file} by `c360 sources new`. Read every line, then commit it."
)
TODO = "TODO: what it holds, where it comes from, who answers for it."
CONSENT_NAMES = ("consent", "opt_in", "optin", "opted_in", "subscribed", "subscription")
PURPOSES = ("marketing", "profiling", "sharing", "analytics")
# Only words of this list are repeated from a consent column: whatever else stands there may be about a person.
CONSENT_WORDS = ("granted", "denied", "yes", "no", "y", "n", "true", "false", "1", "0", "t", "f", "x", "opt-in", "opt-out",
                 "in", "out", "subscribed", "unsubscribed", "ja", "nein", "oui", "non", "si", "sí")  # fmt: skip


@dataclass
class Draft:
    """Files to write (path below the folder of contracts → YAML) and what a person should look at."""

    files: dict[Path, str] = field(default_factory=dict)
    summary: str = ""
    unsure: list[str] = field(default_factory=list)


def draft_records(name: str, file: str, sample: Sample, obj: str | None, key: tuple[str, ...]) -> Draft:
    """A source of records. Raises UsageError when no key can be found, or the given one does not hold in the sample."""
    lists = [column for column, kind in sample.native.items() if kind == "array"]
    columns = {column: cells for column, cells in sample.columns.items() if column not in lists}
    inferred = infer_columns(columns, sample.native, sample.rows)
    draft = Draft(unsure=[*sample.notes, *inferred.unsure])
    draft.unsure += [f"column {column}: a list; records hold none, so it is left out" for column in lists]
    key = _key(columns, inferred, key, draft.unsure)
    head: dict[str, Any] = (
        {"name": name, "kind": "records", "format": sample.format} | sample.dialect | inferred.dialect
    )
    head |= {
        "version": 1,
        "description": _description(name),
        "object": obj or _object(name, draft.unsure),
        "key": list(key),
    }
    lines = [HEADER.format(rows=sample.rows, file=file), *_yaml(head), *_suggestions(columns, inferred), "columns:"]
    lines += [f"  {_flow({column: rules})}" for column, rules in inferred.columns.items()]
    draft.files[Path("sources") / f"{name}.yml"] = _checked(SourceContract, lines)
    draft.summary = f"records, {sample.format}, {len(columns)} columns, key {', '.join(key)}"
    return draft


def _key(columns: Columns, inferred: Inferred, given: tuple[str, ...], unsure: list[str]) -> tuple[str, ...]:
    unknown = [name for name in given if name not in columns]
    if unknown:
        raise UsageError(f"--key names no column of the sample: {', '.join(unknown)}; found: {', '.join(columns)}")
    if any(cell is None for name in given for cell in columns[name]):
        raise UsageError(f"--key {','.join(given)} is empty in some row; a row without its key is quarantined")
    if given and not is_unique(columns, given):
        unsure.append(
            f"key {', '.join(given)}: different rows of the sample share it; is the later one a newer version?"
        )
    key = given or candidate_key(columns, inferred)
    if not key:
        raise UsageError("no column, and no two or three of them, are unique in the sample; say --key COLUMN[,COLUMN]")
    if not given:
        unsure.append(f"key {', '.join(key)}: unique in the sample; is it what names a row for ever?")
    return key


def _object(name: str, unsure: list[str]) -> str:
    unsure.append(
        f"object {name!r}: taken from the name of the source; --object says what one row is (person, product)"
    )
    return name


def _description(name: str) -> str:
    return f"SIMULATED. {TODO}" if name.startswith("sim_") else TODO


def _suggestions(columns: Columns, inferred: Inferred) -> list[str]:
    """What links a row to a person, or gives leave to contact one, is never switched on by a guess: comments."""
    lines = []
    identifiers = {
        rules["pii"]: name for name, rules in inferred.columns.items() if rules.get("pii") in ("email", "phone")
    }
    if identifiers:
        lines.append(f"# identifiers: {_flow(identifiers, brackets=True)}   # when these are the person's own")
    consents = [name for name in columns if any(word in name.lower() for word in CONSENT_NAMES)]
    if consents:
        purposes = {next((p for p in PURPOSES if p in name.lower()), "marketing"): name for name in consents}
        lines.append(f"# consents: {_flow(purposes, brackets=True)}   # marketing, profiling, sharing or analytics")
        found = {cell.strip().lower() for name in consents for cell in columns[name] if cell}
        words = [word for word in CONSENT_WORDS if word in found] + ["…"] * bool(found - {*CONSENT_WORDS})
        lines.append(f"# consent_values: {{granted: [...]}}   # which of {_flow(words)} grant; any other word denies")
    return lines


def draft_events(name: str, file: str, sample: Sample, only: str | None, known: Mapping[str, EventContract]) -> Draft:
    """A source of Segment messages, and a contract for each event that has none yet."""
    draft = Draft(unsure=list(sample.notes))
    by_name: dict[str, list[dict[str, Any]]] = {}
    for message in sample.messages:
        event = message.get("event") if message["type"] == "track" else message["type"]
        if isinstance(event, str) and event:
            by_name.setdefault(event, []).append(message)
    if only is not None and only not in by_name:
        raise UsageError(f"--event {only!r} is not in the sample; found: {', '.join(by_name) or 'no named event'}")
    taken = {slug(event): event for event in known}
    names = [only] if only else list(by_name)
    for event in [name for name in names if name not in known]:
        if slug(event) in taken:
            draft.unsure.append(
                f"event {event!r}: a misspelling of {taken[slug(event)]!r}? left out, so it is quarantined"
            )
            names.remove(event)
        else:
            taken[slug(event)] = event
            draft.files[Path("events") / f"{slug(event)}.yml"] = _event(event, file, by_name[event], draft.unsure)
    if not names:
        raise UsageError(
            "no event is left to declare; name one with a contract (c360 contracts list), or correct the sample"
        )
    if any("receivedAt" in message for message in sample.messages):
        draft.unsure.append("messages carry receivedAt: state `trust_received_at: true` if this is a historical import")
    if len(sample.messages) < sample.rows:
        draft.unsure.append(
            f"{sample.rows - len(sample.messages)} lines are no Segment messages; they would be quarantined"
        )
    head: dict[str, object] = {"name": name, "kind": "events", "format": "ndjson", **sample.dialect}
    head |= {"version": 1, "description": _description(name), "events": names}
    lines = [HEADER.format(rows=sample.rows, file=file), *_yaml(head)]
    draft.files = {Path("sources") / f"{name}.yml": _checked(SourceContract, lines)} | draft.files
    draft.summary = f"messages of {len(names)} events, {len(draft.files) - 1} of them new"
    return draft


def _event(event: str, file: str, messages: list[dict[str, Any]], unsure: list[str]) -> str:
    kind = messages[0]["type"]
    bodies = [message.get("traits" if kind == "identify" else "properties") for message in messages]
    objects = [body if isinstance(body, dict) else {} for body in bodies]
    inferred, items = _inferred(objects)
    unsure += [f"{event}: {note}" for note in inferred.unsure]
    head = {"name": event, "type": kind, "version": 1, "description": TODO}
    lines = [HEADER.format(rows=len(messages), file=file), *_yaml(head)]
    if inferred.columns:
        lines.append("properties:")
    for name, rules in inferred.columns.items():
        if name not in items:
            lines.append(f"  {_flow({name: rules})}")
            continue
        lines += [f"  {name}:", *(f"    {line}" for line in _yaml(rules)), "    items:"]
        lines += [f"      {_flow({inner: inner_rules})}" for inner, inner_rules in items[name].items()]
    return _checked(EventContract, lines)


def _inferred(bodies: list[dict[str, Any]]) -> tuple[Inferred, dict[str, dict[str, dict[str, Any]]]]:
    """(properties, items by array property). Lists of anything but objects are left undeclared: they pass as they are."""
    sample = Sample("ndjson")
    fill(sample, bodies)
    lists = {name: [body.get(name) for body in bodies] for name, kind in sample.native.items() if kind == "array"}
    plain = {name: cells for name, cells in sample.columns.items() if name not in lists}
    inferred = infer_columns(plain, sample.native, sample.rows)
    items: dict[str, dict[str, dict[str, Any]]] = {}
    for name, values in lists.items():
        rows = [row for value in values if value for row in value]
        if not rows or not all(isinstance(row, dict) for row in rows):
            inferred.unsure.append(
                f"property {name}: a list of plain values or of nothing; left undeclared, it passes as it is"
            )
            continue
        items[name] = _item_rules(name, rows, inferred.unsure)
        is_required = all(value is not None for value in values)
        inferred.columns[name] = {"type": "array"} | ({"required": True} if is_required else {})
    return inferred, items


def _item_rules(name: str, rows: list[dict[str, Any]], unsure: list[str]) -> dict[str, dict[str, Any]]:
    sample = Sample("ndjson")
    fill(sample, rows)
    flat = {
        column: cells for column, cells in sample.columns.items() if sample.native[column] not in ("array", "object")
    }
    inferred = infer_columns(flat, sample.native, len(rows))
    for column, rules in inferred.columns.items():
        if rules.pop("pii", None):
            unsure.append(
                f"property {name}.{column}: PII inside a list is not tokenised; have it sent elsewhere, or not at all"
            )
    return inferred.columns


def _yaml(content: Mapping[str, Any]) -> list[str]:
    return [_flow({key: value}) for key, value in content.items()]


def _flow(value: Any, *, brackets: bool = False) -> str:
    """One line of YAML; a mapping without its outer brackets, unless they are wanted."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000).strip()
    return text[1:-1] if isinstance(value, dict) and not brackets else text


def _checked(shape: type[SourceContract] | type[EventContract], lines: list[str]) -> str:
    """The text, proven to be a contract: what is written must load."""
    text = "\n".join(lines) + "\n"
    try:
        shape.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise PermanentError(f"the sample gives no valid contract: {problems}; write it by hand") from error
    return text


def write(draft: Draft, folder: Path) -> list[Path]:
    """Writes all files or none. Raises PermanentError when one of them is there already."""
    paths = [folder / path for path in draft.files]
    there = [path.name for path in paths if path.exists()]
    if there:
        raise PermanentError(
            f"{', '.join(there)} exists already; a contract is not overwritten: edit it, or take another name"
        )
    for path, text in zip(paths, draft.files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    return paths
