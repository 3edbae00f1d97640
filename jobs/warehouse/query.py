"""Runs a query on the published warehouse and renders its rows for people (a table) or programs (JSON, CSV)."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import duckdb

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.warehouse.paths import INTERNAL_SCHEMAS
from jobs.warehouse.reader import open_published

Answer: TypeAlias = tuple[list[str], list[tuple[Any, ...]]]
WIDEST = 60


def run_query(settings: Settings, query: str) -> Answer:
    """Column names and rows; raises UsageError with DuckDB's own words when the query is wrong or not allowed."""
    connection = open_published(settings)
    try:
        found = connection.execute(query)
        names = [column[0] for column in found.description or []]
        return names, found.fetchall()
    except duckdb.Error as error:
        raise UsageError(f"query refused: {' '.join(str(error).split())[:400]}") from error
    finally:
        connection.close()


def list_tables(settings: Settings) -> Answer:
    """The tables that are meant to be read, with their rows and columns."""
    internal = ", ".join(f"'{name}'" for name in INTERNAL_SCHEMAS)
    return run_query(
        settings,
        'select schema_name || \'.\' || table_name as "table", estimated_size as "rows", column_count as "columns" '
        f"from duckdb_tables where schema_name not in ({internal}) order by 1",
    )


def render(names: list[str], rows: list[tuple[Any, ...]], *, style: str, limit: int) -> Iterator[str]:
    """The lines of a table (at most `limit` rows), of CSV, or one JSON object per row."""
    if style == "json":
        yield from (json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows)
    elif style == "csv":
        yield from (_csv_line(row) for row in [tuple(names), *rows])
    else:
        yield from _table(names, rows[:limit])
        if len(rows) > limit:
            yield f"… {len(rows) - limit:,} more rows; use --limit, --csv or --json"


def _csv_line(row: tuple[Any, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row)
    return out.getvalue()


def _table(names: list[str], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    cells = [["" if value is None else _shortened(str(value)) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(names)]
    is_number = [any(not isinstance(row[i], str) and row[i] is not None for row in rows) for i in range(len(names))]
    yield "  ".join(name.ljust(width) for name, width in zip(names, widths, strict=True)).rstrip()
    yield "  ".join("-" * width for width in widths)
    for row in cells:
        aligned = zip(row, widths, is_number, strict=True)
        yield "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in aligned).rstrip()


def _shortened(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
