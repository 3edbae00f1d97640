"""Reads the contracts from YAML. One door: every other package asks here and never opens the files itself."""

from functools import cache
from pathlib import Path
from typing import TypeVar

import yaml

from expectations.contracts.model import EventContract, SourceContract, TableContract

ROOT = Path(__file__).parent
Named = TypeVar("Named", TableContract, EventContract, SourceContract)


class ContractError(ValueError):
    """A contract file is malformed or missing; the message names the file and the remedy."""


def _load_folder(folder: str, shape: type[Named]) -> dict[str, Named]:
    found: dict[str, Named] = {}
    for path in sorted((ROOT / folder).glob("*.yml")):
        try:
            item = shape.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (ValueError, yaml.YAMLError) as error:
            raise ContractError(f"{path}: {error}") from error
        if item.name in found:
            raise ContractError(f"{path}: {item.name!r} is declared twice in {folder}/")
        found[item.name] = item
    return found


@cache
def tables() -> dict[str, TableContract]:
    """All table contracts by table name."""
    return _load_folder("tables", TableContract)


@cache
def marts() -> dict[str, TableContract]:
    """What the gate demands of the public marts, by mart name; dbt's own contract is the builder's promise."""
    return _load_folder("marts", TableContract)


@cache
def events() -> dict[str, EventContract]:
    """All event contracts by event name (`page` and `identify` messages use the type as the name)."""
    return _load_folder("events", EventContract)


@cache
def sources() -> dict[str, SourceContract]:
    """All source contracts by source name."""
    return _load_folder("sources", SourceContract)


def table(name: str) -> TableContract:
    """The contract of one table; raises ContractError with the known names when there is none."""
    try:
        return tables()[name]
    except KeyError:
        raise ContractError(f"no contract for table {name!r}; known: {', '.join(tables())}") from None
