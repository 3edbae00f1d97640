"""Read-only doors to the warehouse: no file, no network, no setting can be reached from a query."""

from pathlib import Path

import duckdb

from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.settings import Settings
from jobs.warehouse.paths import build_file


def open_published(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection to the published file, whichever build it is at this moment; raises PermanentError when there is none.

    It keeps reading that build when the next one is published meanwhile. The caller closes it.
    """
    if not settings.warehouse_file.exists():
        raise PermanentError(
            "no warehouse is published yet; run: c360 warehouse build, c360 quality gate marts, c360 warehouse publish"
        )
    return _open(settings, settings.warehouse_file)


def require_file_target(settings: Settings, what: str) -> None:
    """Raises UsageError on the target spark: whatever DuckDB file there is, the last build is not in it."""
    if settings.dbt_target == "spark":
        raise UsageError(
            f"{what} needs a build in a file, and C360_DBT_TARGET=spark builds Delta schemas, which nothing judges or publishes; "
            "set C360_DBT_TARGET=duckdb and run: c360 warehouse build"
        )


def open_build(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection to the private build, for the gate and for publishing.

    Raises PermanentError when there is no complete build, RetryableError when it is of another run (see require_own_run),
    UsageError on the target spark.
    """
    require_file_target(settings, "judging or publishing")
    file = build_file(settings)
    if not file.exists():
        raise PermanentError("no build to judge; run: c360 warehouse build")
    connection = _open(settings, file)
    if build_id(connection) is None:
        connection.close()
        raise PermanentError("the last build did not finish; run: c360 warehouse build")
    try:
        require_own_run(settings, connection, "private")
    except RetryableError:
        connection.close()
        raise
    return connection


def require_own_run(settings: Settings, connection: duckdb.DuckDBPyConnection, which: str) -> None:
    """Raises RetryableError when a DAG run (settings.run_id) would take another run's build for its own.

    All DAGs share one place for the private build: between two tasks of a run, another run may have put its own there.
    Without a run id a person is at work, who judges and publishes what there is.
    """
    if settings.run_id is None:
        return
    try:
        found = connection.execute("select run_id from ops.build_info").fetchall()[0][0]
    except duckdb.BinderException:  # built before runs were written down
        found = None
    if found != settings.run_id:
        raise RetryableError(
            f"the {which} build is of another run ({found or 'unknown'}, expected {settings.run_id}); "
            "clear build_warehouse of this DAG run"
        )


def build_id(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The id of the build that the connection reads; None when the build did not finish."""
    try:
        found = connection.execute("select build_id from ops.build_info").fetchall()
    except duckdb.CatalogException:
        return None
    return str(found[0][0]) if found else None


def build_epoch(connection: duckdb.DuckDBPyConnection) -> int:
    """The epoch of the writer that built what the connection reads; 0 when it was built before epochs were written down."""
    try:
        found = connection.execute("select epoch from ops.build_info").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return 0
    return int(found[0][0]) if found else 0


def _open(settings: Settings, file: Path) -> duckdb.DuckDBPyConnection:
    options: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": settings.duckdb_memory,
        "threads": settings.duckdb_threads,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "max_temp_directory_size": settings.query_spill,
    }
    try:
        connection = duckdb.connect(str(file), read_only=True, config=options)
    except duckdb.Error as error:
        said = " ".join(str(error).split())[:200]
        raise PermanentError(f"{file} cannot be read: {said}; run: c360 warehouse doctor") from error
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set temp_directory = '{settings.home / 'duckdb' / 'tmp'}'")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection
