"""A set of event and source contracts as one thing: read from a folder, one YAML file or a baseline, written as one.

The baseline is what the world was last promised. It is committed, and `c360 contracts baseline` writes it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from expectations.contracts import loader
from expectations.contracts.model import EventContract, SourceContract

Contract = TypeVar("Contract", EventContract, SourceContract)
FOLDERS = ("events", "sources")
NOTE = "What producers were last promised. Written by `c360 contracts baseline`, compared by `make lint-contracts`."


@dataclass(frozen=True)
class ContractSet:
    """Contracts by name."""

    events: Mapping[str, EventContract] = field(default_factory=dict)
    sources: Mapping[str, SourceContract] = field(default_factory=dict)


def current() -> ContractSet:
    """The contracts of this checkout."""
    return ContractSet(loader.events(), loader.sources())


def read_set(path: Path) -> ContractSet:
    """Contracts of a folder (`events/` and `sources/` below it, or the files in it), of one YAML file, or of a baseline.

    Raises ContractError naming the file and what is wrong with it.
    """
    if path.suffix == ".json":
        return from_baseline(path.read_text(encoding="utf-8"), str(path))
    if path.is_dir():
        folders = [path / name for name in FOLDERS if (path / name).is_dir()] or [path]
        files = [file for folder in folders for file in sorted(folder.glob("*.yml"))]
    else:
        files = [path]
    if not files:
        raise loader.ContractError(f"{path}: no contracts (*.yml) here; expected events/ and sources/, or YAML files")
    return from_texts((str(file), file.read_text(encoding="utf-8")) for file in files)


def from_texts(files: Iterable[tuple[str, str]]) -> ContractSet:
    """Contracts of (name of the file, its YAML); a source is what has a `kind`."""
    events: dict[str, EventContract] = {}
    sources: dict[str, SourceContract] = {}
    for label, text in files:
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise loader.ContractError(f"{label} is not readable YAML: {' '.join(str(error).split())}") from error
        if isinstance(content, Mapping) and "kind" in content:
            source = _parsed(SourceContract, content, label)
            sources[source.name] = source
        else:
            event = _parsed(EventContract, content, label)
            events[event.name] = event
    return ContractSet(events, sources)


def from_baseline(text: str, label: str = "baseline") -> ContractSet:
    """The set that `to_baseline` wrote."""
    try:
        content = json.loads(text)
        events, sources = content["events"], content["sources"]
    except (ValueError, KeyError, TypeError) as error:
        raise loader.ContractError(f"{label}: expected a baseline with events and sources; {error}") from error
    return ContractSet(
        {name: _parsed(EventContract, item, label) for name, item in events.items()},
        {name: _parsed(SourceContract, item, label) for name, item in sources.items()},
    )


def to_baseline(contracts: ContractSet) -> str:
    """JSON text, equal for equal contracts: names sorted, fields in their order, defaults left out."""
    content: dict[str, Any] = {"note": NOTE}
    items: Mapping[str, Mapping[str, EventContract | SourceContract]] = {
        "events": contracts.events, "sources": contracts.sources
    }  # fmt: skip
    for folder, named in items.items():
        content[folder] = {name: named[name].model_dump(mode="json", exclude_defaults=True) for name in sorted(named)}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _parsed(shape: type[Contract], content: object, label: str) -> Contract:
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, e['loc'])) or 'contract'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        )
        raise loader.ContractError(f"{label}: {'; '.join(problems)}") from error
