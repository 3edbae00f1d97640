"""Typed shapes of the contracts: what a table, an event and a source promise.

A contract is data: YAML beside this file, checked by the pydantic models below when it is loaded. Nothing here touches
Spark, DuckDB or the file system beyond the YAML; whoever needs an engine's schema translates `Column.type` at its own edge.
"""

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

TYPE_PATTERN = re.compile(r"^(string|long|double|boolean|timestamp|date|array<string>|decimal\(\d+,\d+\))$")


def _known_type(value: str) -> str:
    if not TYPE_PATTERN.match(value):
        raise ValueError(f"unknown column type {value!r}; allowed: {TYPE_PATTERN.pattern}")
    return value


class PiiClass(StrEnum):
    """How a value points at a person; every class but `none` is tokenised or dropped before silver."""

    NONE = "none"
    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    ADDRESS = "address"
    DEVICE = "device_id"


class Frozen(BaseModel):
    """Base of all contract shapes: immutable, and unknown keys are an error rather than a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Frozen):
    """One column of a table. `required` means never NULL, `allowed` a closed set, `min`/`max` inclusive bounds."""

    name: str
    type: Annotated[str, AfterValidator(_known_type)]
    description: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    pattern: str | None = None


class TableContract(Frozen):
    """Shape of one table: its grain in a sentence, its key, its columns in order, and how few rows are too few."""

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    min_rows: int = 1
    gated: bool = False

    @model_validator(mode="after")
    def _key_is_declared(self) -> "TableContract":
        missing = set(self.key) - {c.name for c in self.columns}
        if missing:
            raise ValueError(f"table {self.name}: key columns {sorted(missing)} are not declared")
        return self

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names in the order of the contract."""
        return tuple(c.name for c in self.columns)


class FieldContract(Frozen):
    """One property of an event or one column of a record file, as the producer sends it (always text on arrival)."""

    type: Literal["string", "number", "integer", "boolean", "timestamp", "date", "object", "array"] = "string"
    required: bool = False
    pii: PiiClass = PiiClass.NONE
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    description: str = ""
    items: dict[str, "FieldContract"] = Field(default_factory=dict)


class EventContract(Frozen):
    """Shape of one event name: which properties it carries. Grain: one contract per (type, name)."""

    name: str
    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    version: int = 1
    description: str
    properties: dict[str, FieldContract] = Field(default_factory=dict)


class SourceContract(Frozen):
    """Where messages come from and what they may be.

    `kind: events` sources deliver messages of events; `kind: records` sources deliver rows that are versions of one
    `object`. Files are NDJSON (one JSON object a line), CSV with a header, or Parquet. The dialect is declared, never
    guessed: `encoding`, `delimiter`, and `header: strict` when the order of the columns matters. `ready: marker` loads a
    file only when `<file>.done` stands beside it; by default it is loaded when nobody has it open for writing.
    """

    name: str
    kind: Literal["events", "records"]
    format: Literal["ndjson", "csv", "parquet"]
    encoding: Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "shift_jis"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    header: Literal["by_name", "strict"] = "by_name"
    ready: Literal["closed", "marker"] = "closed"
    version: int = 1
    description: str
    trust_received_at: bool = False
    unknown_events: Literal["accept", "quarantine"] = "quarantine"
    events: tuple[str, ...] = ()
    object: str | None = None
    key: tuple[str, ...] = ()
    columns: dict[str, FieldContract] = Field(default_factory=dict)
    valid_from: str | None = None
    identifiers: dict[str, str] = Field(default_factory=dict)
    consents: dict[str, str] = Field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """True for invented data; the name says so, in every table that carries `source`."""
        return self.name.startswith("sim_")

    @model_validator(mode="after")
    def _records_are_keyed(self) -> "SourceContract":
        if self.kind == "records":
            unknown = (set(self.key) | set(self.identifiers.values()) | set(self.consents.values())) - set(self.columns)
            if not (self.object and self.key) or unknown:
                raise ValueError(f"source {self.name}: needs object and key; undeclared columns: {sorted(unknown)}")
        return self
