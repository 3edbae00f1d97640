"""DuckDB connections that read the lake: the Delta extension from its wheel, UTC, a memory limit, a view per table."""

from pathlib import Path

import duckdb
from duckdb_extensions import import_extension

from jobs.core.catalog import TABLES
from jobs.core.errors import UsageError
from jobs.core.settings import Settings

DELTA = "delta"
_trusted: set[tuple[int, ...]] = set()


def connect(settings: Settings, database: Path | None = None, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection with the Delta extension loaded; in memory unless `database` is given. The caller closes it."""
    extensions = settings.home / "duckdb" / "extensions"
    extensions.mkdir(parents=True, exist_ok=True)
    temp = settings.home / "duckdb" / "tmp"
    options: dict[str, str | bool | int | float | list[str]] = {
        "extension_directory": str(extensions),
        "temp_directory": str(temp),
        "memory_limit": settings.duckdb_memory,
        "threads": settings.duckdb_threads,
        "autoinstall_known_extensions": False,
        "allow_unsigned_extensions": True,  # this one was looked at, and no other may come
    }
    _look_at_signature(extensions)
    connection = duckdb.connect(str(database or ":memory:"), read_only=read_only, config=options)
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"load {DELTA}")
    connection.execute("set allow_unsigned_extensions = false")
    return connection


def _look_at_signature(extensions: Path) -> None:
    """Installs the extension and loads it as DuckDB does by default, once per process: it hashes the whole file, 80 MB, which
    takes 0.3 s of CPU. Later connections get the library that this process holds, for as long as the file is the same one."""
    if _identity(extensions) in _trusted:
        return
    with duckdb.connect(
        config={"extension_directory": str(extensions), "autoinstall_known_extensions": False}
    ) as first:
        import_extension(DELTA, con=first)
        found = _identity(extensions)
        first.execute(f"load {DELTA}")
    _trusted.add(found)


def _identity(extensions: Path) -> tuple[int, ...]:
    files = [file.stat() for file in sorted(extensions.glob(f"*/*/{DELTA}.duckdb_extension"))]
    return tuple(n for file in files for n in (file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns))


def lake_connection(settings: Settings, tables: tuple[str, ...] = ()) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with one view per existing lake table (all of them, or those named)."""
    connection = connect(settings)
    for name in tables or tuple(TABLES):
        path = TABLES[name].path(settings)
        if (path / "_delta_log").exists():
            connection.execute(f"create view {name} as select * from delta_scan('{path}')")
    return connection


def csv_dialect(settings: Settings, path: Path) -> tuple[str, str] | None:
    """(delimiter, quote) of a UTF-8 CSV file as DuckDB's sniffer sees it; None when it cannot tell."""
    query = "select Delimiter, Quote from sniff_csv(?, all_varchar = true, ignore_errors = true)"
    with connect(settings) as connection:
        try:
            row = connection.execute(query, [str(path)]).fetchone()
        except duckdb.Error:
            return None
    return (str(row[0]), str(row[1])) if row else None


def load_file(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> dict[str, str]:
    """Makes a table of a Parquet file or, as texts, of a CSV file; its column names without blanks around them → as they
    stand. Raises UsageError when there is no such file, or it is not one."""
    if not path.is_file():
        raise UsageError(f"no file {path}")
    reader = "read_parquet(?)" if path.suffix == ".parquet" else "read_csv(?, all_varchar = true, header = true)"
    try:
        connection.execute(f"create or replace table {name} as select * from {reader}", [str(path)])
    except duckdb.Error as error:
        raise UsageError(f"{path} cannot be read as {path.suffix or 'CSV'}: {str(error).splitlines()[0]}") from error
    described = connection.execute(f"describe {name}").fetchall()
    return {str(row[0]).strip(): str(row[0]) for row in described}
