"""Turns the frames that a suite asks for into SQL over a connection it is handed. Only figures and marks leave the engine,
except for `values`, which must be looked at to be judged."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd

from expectations.contracts import TableContract

if TYPE_CHECKING:
    from expectations.suites import Frame

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
_WORDS = {
    "VARCHAR": "string",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "VARCHAR[]": "array<string>",
}


def contract_word(engine_type: str) -> str:
    """The contract's word for a DuckDB type; narrower integers count as long, an unknown type stays as it is."""
    if engine_type in _INTEGERS:
        return "long"
    if re.fullmatch(r"DECIMAL\(\d+,\d+\)", engine_type):
        return engine_type.lower()
    return _WORDS.get(engine_type, engine_type)


def fetcher(connection: Any, relation: str, contract: TableContract) -> "Callable[[Frame], pd.DataFrame]":
    """How `expectations.gate.judge` gets the frames of one relation (a table or view of the connection)."""

    def fetch(frame: "Frame") -> pd.DataFrame:
        if frame.kind in ("header", "types"):
            return _header(connection, relation, frame.columns if frame.kind == "types" else ())
        return _frame(connection, _sql(frame, relation, contract, _names(connection, relation)))

    return fetch


def _describe(connection: Any, relation: str) -> list[tuple[str, str]]:
    found = connection.execute(f"describe select * from {relation}").fetchall()
    return [(str(row[0]), str(row[1])) for row in found]


def _names(connection: Any, relation: str) -> set[str]:
    return {name for name, _ in _describe(connection, relation)}


def _header(connection: Any, relation: str, only: tuple[str, ...]) -> pd.DataFrame:
    columns = [(n, t) for n, t in _describe(connection, relation) if not only or n in only]
    rows = [(name, f"{name} {contract_word(kind)}") for name, kind in columns]
    return pd.DataFrame(rows, columns=["column_name", "declared"])


def _sql(frame: "Frame", relation: str, contract: TableContract, names: set[str]) -> str:
    if frame.kind == "query":
        return frame.query
    if frame.kind == "values":
        column = quoted(frame.columns[0])
        return f"select distinct {column} as value from {relation} where {column} is not null"
    # A column that is gone is left out here, so that its own check fails by name and the others are still judged.
    marks = [
        f"(case when {quoted(c)} is null then null else 1 end)::float as {quoted(c)}"
        for c in frame.columns
        if c in names
    ]
    if set(contract.key) <= names:
        # Equal if and only if the keys are equal, without carrying four text columns of each row out of the engine.
        marks.append(f"dense_rank() over (order by {', '.join(map(quoted, contract.key))}) as key_number")
    return f"select {', '.join(marks) or '1 as row_mark'} from {relation}"


def _frame(connection: Any, sql: str) -> pd.DataFrame:
    frame: pd.DataFrame = connection.execute(sql).df()
    return frame


def quoted(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
