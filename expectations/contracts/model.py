"""Typed shapes of the contracts: what a table, an event and a source promise.

A contract is data: YAML beside this file, checked by the pydantic models below when it is loaded. Nothing here touches
Spark, DuckDB or the file system beyond the YAML; whoever needs an engine's schema translates `Column.type` at its own edge.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from expectations.contracts.fields import FieldContract, Frozen
from expectations.contracts.mapping import EventMapping

TYPE_PATTERN = re.compile(r"^(string|long|double|boolean|timestamp|date|array<string>|decimal\(\d+,\d+\))$")


DATE_PARTS = re.compile(r"yyyy|MM|dd")
DATE_FORMAT = re.compile(rf"^({DATE_PARTS.pattern})[-./ ]?({DATE_PARTS.pattern})[-./ ]?({DATE_PARTS.pattern})$")
DIALECT = {"delimiter": ",", "decimal": ".", "date_format": "yyyy-MM-dd", "header": "by_name"}


def _known_type(value: str) -> str:
    if not TYPE_PATTERN.match(value):
        raise ValueError(f"unknown column type {value!r}; allowed: {TYPE_PATTERN.pattern}")
    return value


def _known_date_format(value: str) -> str:
    if not DATE_FORMAT.match(value) or sorted(DATE_PARTS.findall(value)) != ["MM", "dd", "yyyy"]:
        raise ValueError(f"unknown date format {value!r}; expected yyyy, MM and dd once each, as in dd.MM.yyyy")
    return value


class Column(Frozen):
    """One column of a table. `required` means never NULL, `allowed` a closed set, `min`/`max` inclusive bounds.

    `fill`: SQL literal that rows hold which were written before a required column existed (`c360 lake migrate`).
    `identifies`: a value belongs to one person (or account, or card), so that naming one singles a person out.
    """

    name: str
    type: Annotated[str, AfterValidator(_known_type)]
    description: str
    required: bool = False
    allowed: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None
    pattern: str | None = None
    fill: str | None = None
    identifies: bool = False


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


class EventContract(Frozen):
    """Shape of one event name: which properties it carries. Grain: one contract per (type, name).

    `version` is raised with every breaking change; `c360 contracts check` says which changes are.
    """

    name: str
    type: Literal["track", "identify", "page", "screen", "group", "alias"]
    version: int = Field(default=1, ge=1)
    description: str
    properties: dict[str, FieldContract] = Field(default_factory=dict)


class ConsentValues(Frozen):
    """Which words in a consent column of records are a grant, upper and lower case and blanks around them aside.

    Any other word is a denial, and an empty cell says nothing: consent fails closed. Quote the words in YAML: a bare
    `yes`, `on` or `1` is no text there, and refused.
    """

    granted: tuple[str, ...] = Field(default=("granted",), min_length=1)

    @model_validator(mode="after")
    def _words_are_folded(self) -> "ConsentValues":
        odd = [word for word in self.granted if word != word.strip().lower() or not word]
        if odd:
            raise ValueError(f"consent words are compared in lower case without blanks around them; write {odd} so")
        return self


class SourceContract(Frozen):
    """Where messages come from and what they may be.

    `kind: events` sources deliver messages of events; `kind: records` sources deliver rows that are versions of one
    `object`. Files are NDJSON (one JSON object a line), CSV with a header, or Parquet. The dialect is declared, never
    guessed: `encoding`, `delimiter`, `decimal`, `date_format`, and `header: strict` when the order of the columns matters.
    `ready: marker` loads a file only when `<file>.done` stands beside it; by default it is loaded when nobody has it open
    for writing. `key_case: insensitive` says that keys which differ by case alone name one thing. `mapping` says how events
    that are not Segment messages become some. `version` is raised with every breaking change; `c360 contracts check` says
    which changes are.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    kind: Literal["events", "records"]
    format: Literal["ndjson", "csv", "parquet"]
    encoding: Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "shift_jis"] = "utf-8"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    decimal: Literal[".", ","] = "."
    date_format: Annotated[str, AfterValidator(_known_date_format)] = "yyyy-MM-dd"
    header: Literal["by_name", "strict"] = "by_name"
    ready: Literal["closed", "marker"] = "closed"
    version: int = Field(default=1, ge=1)
    description: str
    trust_received_at: bool = False
    unknown_events: Literal["accept", "quarantine"] = "quarantine"
    events: tuple[str, ...] = ()
    mapping: EventMapping | None = None
    object: str | None = None
    key: tuple[str, ...] = ()
    key_case: Literal["sensitive", "insensitive"] = "sensitive"
    columns: dict[str, FieldContract] = Field(default_factory=dict)
    valid_from: str | None = None
    identifiers: dict[str, str] = Field(default_factory=dict)
    consents: dict[str, str] = Field(default_factory=dict)
    consent_values: ConsentValues = ConsentValues()

    @property
    def is_simulated(self) -> bool:
        """True for invented data; the name says so, in every table that carries `source`."""
        return self.name.startswith("sim_")

    @model_validator(mode="after")
    def _records_are_keyed(self) -> "SourceContract":
        if self.kind == "records":
            named = {*self.key, *self.identifiers.values(), *self.consents.values()}
            unknown = (named | ({self.valid_from} if self.valid_from else set())) - set(self.columns)
            if not (self.object and self.key) or unknown:
                raise ValueError(f"source {self.name}: needs object and key; undeclared columns: {sorted(unknown)}")
        return self

    @model_validator(mode="after")
    def _mapping_fits(self) -> "SourceContract":
        """A mapping makes events of this source, out of what its messages hold."""
        if self.kind == "records" and self.mapping is not None:
            raise ValueError(f"source {self.name}: mapping belongs to kind events")
        if self.kind == "events" and self.format == "csv" and (self.mapping is None or not self.columns):
            raise ValueError(
                f"source {self.name}: events in CSV need columns, and a mapping that makes messages of rows"
            )
        if self.mapping is not None:
            strange = set(self.mapping.names()) - set(self.events)
            if strange:
                raise ValueError(f"source {self.name}: mapping makes {sorted(strange)}, which events do not list")
            missing = self.mapping.top_keys() - set(self.columns)
            if self.columns and missing:
                raise ValueError(f"source {self.name}: mapping reads undeclared columns: {sorted(missing)}")
        return self

    @model_validator(mode="after")
    def _columns_can_be_judged(self) -> "SourceContract":
        arrays = [name for name, field in self.columns.items() if field.type == "array"]
        if arrays:
            raise ValueError(f"source {self.name}: columns hold no arrays; found {arrays}, leave them undeclared")
        for kind, column in self.identifiers.items():
            if column in self.columns and kind in ("email", "phone") and self.columns[column].pii.value != kind:
                raise ValueError(f"source {self.name}: column {column} identifies by {kind}; declare it `pii: {kind}`")
        return self

    @model_validator(mode="after")
    def _dialect_is_of_the_format(self) -> "SourceContract":
        """NDJSON and Parquet have one dialect; declaring another would be a promise that nobody reads."""
        useless = [name for name, default in DIALECT.items() if getattr(self, name) != default]
        if self.format != "csv" and useless:
            raise ValueError(f"source {self.name}: {', '.join(useless)} belong to format csv, not {self.format}")
        if self.format == "parquet" and self.encoding != "utf-8":
            raise ValueError(f"source {self.name}: Parquet has no encoding to declare")
        return self
