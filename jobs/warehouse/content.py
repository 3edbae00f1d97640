"""What a table holds, as one hash: equal content gives equal hashes, whatever the row order and the engine that wrote it."""

from dataclasses import dataclass

import duckdb

from jobs.core.hashing import hash_parts

SEPARATOR = "chr(31)"
NULL_MARK = "chr(0)"


@dataclass(frozen=True)
class Content:
    """Number of rows and the hash over all of them."""

    rows: int
    digest: str


def content_hash(connection: duckdb.DuckDBPyConnection, relation: str, exclude: tuple[str, ...] = ()) -> Content:
    """Hash of a relation (a name, or a table function such as delta_scan) without the columns in `exclude`.

    Columns are taken in the order of their names, times as microseconds since 1970 UTC, doubles with ten digits. The md5
    numbers of the rows are added up, so that order does not count but the number of equal rows does.
    """
    described = connection.execute(f"describe select * from {relation}").fetchall()
    columns = sorted((str(row[0]), str(row[1])) for row in described if row[0] not in exclude)
    parts = [f"coalesce({_canonical(name, kind)}, {NULL_MARK})" for name, kind in columns]
    row = f" || {SEPARATOR} || ".join(parts)
    found = connection.execute(
        f"select count(*), sum(md5_number_upper(t)::hugeint), sum(md5_number_lower(t)::hugeint) "
        f"from (select {row} as t from {relation})"
    ).fetchall()[0]
    names = ",".join(name for name, _ in columns)
    return Content(rows=int(found[0]), digest=hash_parts([names, *found]))


def _canonical(name: str, kind: str) -> str:
    column = '"' + name.replace('"', '""') + '"'
    if kind.startswith("TIMESTAMP"):
        return f"epoch_us({column})::varchar"
    if kind in ("DOUBLE", "FLOAT"):
        return f"format('{{:.9e}}', {column})"
    return f"{column}::varchar"
