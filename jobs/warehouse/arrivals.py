"""What has come into a lake table, and what has gone from it, between the version that the published build has read and the
one to read now: by the files of both versions, of which all but a few are the same.

The rows of a version that are known at a moment are those received until then. Files that are in both versions hold the same
rows, so that the difference is: rows of new files, without those of files that are no longer there (compaction only moves
them), and rows that were received between the two moments. It is exact whatever has happened to the table.
"""

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse.reading import Reading

# The tables that grow by each event; the others are read whole.
GROWING = ("silver_events", "silver_identifiers")
SCHEMA = "previous"


def put_arrivals_aside(
    connection: duckdb.DuckDBPyConnection, settings: Settings, reading: Reading, *, since: Reading
) -> None:
    """`previous.<table>_came` and `previous.<table>_gone`, with the columns of the lake table, for each of `GROWING`.

    `since` is what the published build has read; all files of its versions must still be there (`delta.is_kept`).
    """
    for name in GROWING:
        _put_aside(connection, settings, name, reading, since)


def _put_aside(
    connection: duckdb.DuckDBPyConnection, settings: Settings, name: str, reading: Reading, since: Reading
) -> None:
    path, version = lake_table(name).path(settings), reading.versions[name]
    present, before = (set(delta.files(settings, name, r.versions[name])) for r in (reading, since))
    lake = f"delta_scan('{path}', version => {version})"
    for draft, files in (("added", present - before), ("removed", before - present)):
        connection.execute(f"create or replace temp table {draft} as select * from {lake} limit 0")
        if files:
            found = f"read_parquet({_list(files)}, union_by_name = true, hive_partitioning = true)"
            connection.execute(f"insert into {draft} by name select * from {found}")
    then = f"received_at <= {_moment(since.as_of)}"
    between = f"received_at > {_moment(since.as_of)} and received_at <= {_moment(reading.as_of)}"
    added, removed = f"select * from added where {then}", f"select * from removed where {then}"
    connection.execute(f"create table {SCHEMA}.{name}_came as ({added} except all {removed})")
    connection.execute(f"create table {SCHEMA}.{name}_gone as ({removed} except all {added})")
    if reading.as_of > since.as_of:
        connection.execute(f"insert into {SCHEMA}.{name}_came select * from {lake} where {between}")
    connection.execute("drop table added; drop table removed")


def _list(files: set[Path]) -> str:
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in sorted(files)) + "]"


def _moment(at: datetime) -> str:
    return f"timestamptz '{at.astimezone(UTC).isoformat()}'"
