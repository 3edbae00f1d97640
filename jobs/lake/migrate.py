"""Brings tables that were made by an older c360 to the shape of today's contracts: adds columns, and nothing else.

What a contract has and a table has not is added; rows written before hold NULL there, or the contract's `fill` where the
column is required. A type that differs is refused, for Delta would have to rewrite what others have read; a column that no
contract knows says that a newer c360 has written the table, and is refused too. Properties are brought up to date as well,
here and not by vacuum: a change of a table's metadata makes an append that is under way fail.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.schema import Schema

from expectations.contracts import Column
from jobs.core.catalog import TABLES, lake_table
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake.delta import properties
from jobs.lake.schema import arrow_type

# A stream reads its log, and would stop at rows that are written anew: readers take NULL for the fill.
NEVER_REWRITTEN = ("bronze_messages",)


@dataclass
class Plan:
    """What one table needs. `refused` lines say why it cannot be brought to its contract by adding."""

    table: str
    add: list[Column] = field(default_factory=list)
    fill: list[Column] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the table is as its contract says."""
        return not (self.add or self.fill or self.properties or self.refused)

    def lines(self) -> list[str]:
        """For people."""
        found = [f"{self.table}: refused: {why}" for why in self.refused]
        found += [f"{self.table}: add {c.name} ({c.type})" for c in self.add]
        found += [f"{self.table}: fill {c.name} with {c.fill} where it is NULL" for c in self.fill]
        return found + [f"{self.table}: set {key} = {value}" for key, value in sorted(self.properties.items())]


def plan(settings: Settings, name: str) -> Plan:
    """All that a table needs; empty for one that does not exist yet. Looks for rows to fill, which reads columns."""
    found = shape_plan(settings, name)
    path = str(lake_table(name).path(settings))
    if not DeltaTable.is_deltatable(path):
        return found
    table = DeltaTable(path)
    held = table.metadata().configuration
    found.properties = {k: v for k, v in properties(settings, name).items() if held.get(k) != v}
    if name not in NEVER_REWRITTEN:
        filled = [c for c in lake_table(name).contract.columns if c.fill is not None]
        found.fill = [c for c in filled if _has_nulls(table, c, added=c in found.add)]
    return found


def shape_plan(settings: Settings, name: str) -> Plan:
    """Compares a table's columns with its contract; reads the log only."""
    path = str(lake_table(name).path(settings))
    found = Plan(name)
    if not DeltaTable.is_deltatable(path):
        return found
    table = DeltaTable(path)
    actual = pa.schema(table.schema().to_arrow())
    contract = lake_table(name).contract
    for column in contract.columns:
        if column.name not in actual.names:
            found.add.append(column)
        elif (kind := _plain(actual.field(column.name).type)) != _plain(arrow_type(column.type)):
            found.refused.append(
                f"column {column.name} is {kind}, its contract says {column.type}; nothing was changed"
            )
    for extra in sorted(set(actual.names) - set(contract.column_names)):
        found.refused.append(f"column {extra} is in no contract: a newer c360 wrote this table; install that one")
    unfilled = [column for column in found.add if column.required and column.fill is None]
    if unfilled and table.to_pyarrow_dataset().count_rows():
        for column in unfilled:
            found.refused.append(f"column {column.name} is required, and nothing says what older rows hold (`fill`)")
    return found


def _plain(kind: pa.DataType) -> str:
    """A type's name for comparison: views and names of list items aside, which are ways of holding the same."""
    text = str(kind).replace("_view", "").replace("large_", "")
    return "list<string>" if text.startswith("list<") else text


def _has_nulls(table: DeltaTable, column: Column, *, added: bool) -> bool:
    rows = table.to_pyarrow_dataset()
    if added:
        return bool(rows.count_rows())
    # Counted, not filtered: the statistics of files without the column make a filter pass over them.
    return any(batch.column(0).null_count for batch in rows.to_batches(columns=[column.name]))


def plans(settings: Settings) -> list[Plan]:
    """Every table that is not as its contract says."""
    found = (plan(settings, name) for name in TABLES)
    return [p for p in found if not p.is_empty]


def carry_out(settings: Settings, found: list[Plan]) -> None:
    """Does what the plans say, a commit per step; after a crash the next plan holds the rest.

    The caller holds the ingest lock. Raises PermanentError, with nothing done, when one of them is refused.
    """
    refused = [line for p in found for line in p.lines() if p.refused]
    if refused:
        raise PermanentError(f"{refused[0]} (see `c360 lake migrate --dry-run`)")
    if found:
        open_mark(settings).touch()
    for one in found:
        path = str(lake_table(one.table).path(settings))
        if one.add:
            fields = pa.schema([pa.field(c.name, arrow_type(c.type)) for c in one.add])
            DeltaTable(path).alter.add_columns(list(Schema.from_arrow(fields).fields))
        if one.fill:
            DeltaTable(path).update({c.name: f"coalesce({c.name}, {c.fill})" for c in one.fill})
        if one.properties:
            DeltaTable(path).alter.set_table_properties(one.properties)
    open_mark(settings).unlink(missing_ok=True)


def open_mark(settings: Settings) -> Path:
    """There while a migration is under way, and after one that was cut off: columns may be added and not filled yet."""
    return settings.home / "migration.open"


def require_migrated(settings: Settings) -> None:
    """Raises PermanentError when a table has not the shape of its contract: the streams would fail half-way."""
    if open_mark(settings).exists():
        raise PermanentError("a migration of the tables was cut off; run: c360 lake migrate")
    shapes = (shape_plan(settings, name) for name in TABLES)
    wrong = [p.table for p in shapes if p.add or p.refused]
    if wrong:
        raise PermanentError(
            f"tables of another shape than their contracts: {', '.join(wrong)}; run: c360 lake migrate"
        )
