"""A good table for any contract, in an in-memory DuckDB, and the one change that breaks a given check of its suite."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from expectations.contracts import Column, TableContract

ROWS = 3
DUCK = {"string": "VARCHAR", "long": "BIGINT", "timestamp": "TIMESTAMPTZ", "array<string>": "VARCHAR[]"}
TOKEN = "0" * 64


def engine_type(word: str) -> str:
    """The DuckDB type of a contract type."""
    return DUCK.get(word, word.upper())


def good_value(column: Column, row: int, *, is_key: bool) -> Any:
    """A value that keeps the contract; different in every row where the column is part of the key."""
    if column.allowed:
        return column.allowed[row % len(column.allowed) if is_key else 0]
    if column.pattern:
        return f"{column.name.removesuffix('_token')}_v1_{TOKEN[:-1]}{row}"
    made = {
        "string": f"{column.name}_{row}" if is_key else f"{column.name}_x",
        "long": int(column.min or 0) + (row if is_key else 0),
        "double": float(column.min or 0),
        "boolean": False,
        "array<string>": [],
        "timestamp": datetime(2017, 1, 1, tzinfo=UTC),
        "date": date(2017, 1, 1 + (row if is_key else 0)),
    }
    return made.get(column.type, Decimal("1.00"))


def good_table(contract: TableContract, relation: str) -> duckdb.DuckDBPyConnection:
    """A connection in which `relation` holds three rows that keep the contract."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("create schema marts")
    columns = ", ".join(f'"{c.name}" {engine_type(c.type)}' for c in contract.columns)
    connection.execute(f"create table {relation} ({columns})")
    for row in range(ROWS):
        values = [good_value(c, row, is_key=c.name in contract.key) for c in contract.columns]
        marks = ", ".join("?" for _ in values)
        connection.execute(f"insert into {relation} values ({marks})", values)
    return connection


def breaking_sql(contract: TableContract, check: str, relation: str) -> str:
    """The one statement that breaks exactly this check of a good table (suite built with min_rows = ROWS)."""
    kind, _, column = check.rstrip(")").partition("(")
    first = f"rowid = (select min(rowid) from {relation})"
    columns = {c.name: c for c in contract.columns}
    if kind == "columns":
        return f"alter table {relation} add column surprise integer"
    if kind == "types":
        values = [c for c in contract.columns if not (c.name in contract.key or c.allowed or c.pattern)]
        free = next((c for c in values if c.min is None), None)
        if free is None:  # a number stays in its range as a fraction
            whole = next(c for c in values if c.type == "long")
            return f'alter table {relation} alter "{whole.name}" type DOUBLE'
        return f"alter table {relation} alter \"{free.name}\" type BLOB using 'x'::blob"
    if kind == "row_count":
        return f"delete from {relation} where {first}"
    if kind == "key_unique":
        return f"insert into {relation} select * from {relation} where {first}"
    broken: dict[str, object] = {"not_null": "null", "allowed": "'nonsense'", "pattern": "'nonsense'"}
    if kind == "range":
        low = columns[column].min
        broken["range"] = low - 1 if low is not None else (columns[column].max or 0) + 1
    return f'update {relation} set "{column}" = {broken[kind]} where {first}'
