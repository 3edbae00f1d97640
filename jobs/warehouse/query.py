"""Runs a query on the published warehouse and renders its rows for people (a table) or programs (JSON, CSV)."""

import csv
import io
import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeAlias

import duckdb

from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.warehouse.paths import INTERNAL_SCHEMAS
from jobs.warehouse.reader import open_published

Row: TypeAlias = tuple[Any, ...]
Answer: TypeAlias = tuple[list[str], list[Row]]
WIDEST = 60
BLOCK = 1_000
READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
# Told to log into a file, which it may not make, DuckDB 1.5 aborts the process. Drop the first when it raises an error instead.
# The others run a text, which may be put together to call it.
REFUSED = ("enable_logging", "query", "query_table", "json_execute_serialized_sql")
# In the text of a parsed statement; a literal that looks so has its quotes behind backslashes.
CALLED = re.compile(rf'"function_name":"({"|".join(REFUSED)})"', re.IGNORECASE)
BLANK = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
EXPLAINED = re.compile(rf"{BLANK}explain\b(?:{BLANK}analyze\b)?(?:{BLANK}\([^()]*\))?", re.IGNORECASE | re.DOTALL)


@contextmanager
def answering(settings: Settings, query: str) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """Column names, and rows as they are fetched. One statement that reads; files, network and settings are out of reach.

    Raises UsageError with DuckDB's own words when the query is wrong or not allowed or takes more memory than it may,
    PermanentError when it takes longer than `query_seconds`, the fetching included.
    """
    connection = open_published(settings)
    done, late = threading.Event(), threading.Event()
    watch = threading.Thread(target=_stop_late, args=(connection, done, late, settings.query_seconds), daemon=True)
    watch.start()
    try:
        found = connection.execute(_reading(connection, query))
        yield [column[0] for column in found.description or []], _fetched(found)
    except duckdb.Error as error:
        if late.is_set():  # an interrupt comes under several names
            raise PermanentError(
                f"query stopped after {settings.query_seconds:g} seconds; narrow it, or raise C360_QUERY_SECONDS"
            ) from error
        raise UsageError(f"query refused: {' '.join(str(error).split())[:400]}") from error
    finally:
        done.set()
        watch.join()
        connection.close()


def run_query(settings: Settings, query: str) -> Answer:
    """All of it at once; for small answers."""
    with answering(settings, query) as (names, rows):
        return names, list(rows)


def list_tables(settings: Settings) -> Answer:
    """The tables that are meant to be read, with their rows and columns."""
    internal = ", ".join(f"'{name}'" for name in INTERNAL_SCHEMAS)
    return run_query(
        settings,
        'select schema_name || \'.\' || table_name as "table", estimated_size as "rows", column_count as "columns" '
        f"from duckdb_tables where schema_name not in ({internal}) order by 1",
    )


def render(names: list[str], rows: Iterable[Row], *, style: str, limit: int) -> Iterator[str]:
    """The lines of a table (at most `limit` rows), of CSV, or one JSON object per row."""
    if style == "json":
        yield from (json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows)
    elif style == "csv":
        yield _csv_line(names)
        yield from (_csv_line(row) for row in rows)
    else:
        found = list(islice(rows, limit + 1))  # how many more there are only reading them all would tell
        yield from _table(names, found[:limit])
        if len(found) > limit:
            yield f"… more rows than {limit:,}; use --limit, --csv or --json"


def _reading(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The query, if it is one statement that reads. The connection would let some others pass that change only itself."""
    statements = connection.extract_statements(query)
    if len(statements) != 1 or statements[0].type not in READING:
        raise UsageError("query refused: expected one SELECT, or EXPLAIN of one (a PIVOT needs its values: `in (…)`)")
    if called := CALLED.search(_tree(connection, query)):
        raise UsageError(f"query refused: {called[1]} is not allowed")
    return query


def _tree(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """The query as DuckDB parses it, in JSON; of an EXPLAIN, what it explains. Taken as text: it may be nested deeper than a
    reader of JSON goes. Raises UsageError when DuckDB gives none."""
    inner = EXPLAINED.sub("", query, count=1) if EXPLAINED.match(query) else query
    tree = str(connection.execute("select json_serialize_sql(?)", [inner]).fetchall()[0][0])
    if not tree.startswith('{"error":false'):
        raise UsageError(f"query refused: {json.loads(tree)['error_message']}")
    return tree


def _stop_late(
    connection: duckdb.DuckDBPyConnection, done: threading.Event, late: threading.Event, seconds: float
) -> None:
    """Interrupts what runs after the time is over, again and again: an interrupt between two fetches is lost."""
    if not done.wait(seconds):
        late.set()
        while not done.wait(0.05):
            connection.interrupt()


def _fetched(found: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    while block := found.fetchmany(BLOCK):
        yield from block


def _csv_line(row: Iterable[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(row)
    return out.getvalue()


def _table(names: list[str], rows: list[Row]) -> Iterator[str]:
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
