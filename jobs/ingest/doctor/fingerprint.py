"""The shape of a stream's tables when it last ran, kept beside its checkpoint: Spark itself accepts a changed type silently."""

import json
from pathlib import Path

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.checkpoints import SILVER, SILVER_TABLES

Shape = dict[str, dict[str, str]]


def fingerprint_file(settings: Settings, stream: str) -> Path:
    """Beside Spark's folder, not in it."""
    return settings.checkpoints / f"{stream}.schema.json"


def shape(stream: str) -> Shape:
    """table → column → type, of today's contracts."""
    names = ("bronze_messages", *(SILVER_TABLES if stream == SILVER else ()))
    columns = {name: lake_table(name).contract.columns for name in names}
    return {
        name: {c.name: c.type + (" required" if c.required else "") for c in found} for name, found in columns.items()
    }


def changed_contracts(settings: Settings, stream: str) -> list[str]:
    """What is no addition, a line each: the plan of what would have to be undone. Empty before the first run."""
    file = fingerprint_file(settings, stream)
    before: Shape = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found: list[str] = []
    for name, columns in before.items():
        now = shape(stream).get(name, {})
        for column, kind in columns.items():
            if column not in now:
                found.append(f"{name}.{column} ({kind}) is gone from its contract")
            elif now[column] not in (kind, kind.removesuffix(" required")):
                found.append(f"{name}.{column} was {kind} and is {now[column]} in its contract")
    return found


def remember(settings: Settings, stream: str) -> None:
    """Takes today's shape as the one that the stream runs with; the caller has found nothing changed but additions."""
    file = fingerprint_file(settings, stream)
    text = json.dumps(shape(stream), indent=1, sort_keys=True)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
