"""The content hash: equal for equal rows in any order, different for everything else."""

import duckdb
import pytest

from jobs.warehouse.content import content_hash

BASE = "values (1, 'a', 0.1::double, timestamp '2018-01-01'), (2, null, null, null)"


def digest(rows: str, columns: str = "n, t, d, seen", exclude: tuple[str, ...] = ()) -> tuple[int, str]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create table x as select * from ({rows}) as t ({columns})")
        found = content_hash(connection, "x", exclude)
    return found.rows, found.digest


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ("values (2, null, null, null), (1, 'a', 0.1::double, timestamp '2018-01-01')", "n, t, d, seen"),
        ("values ('a', 1, 0.1::double, timestamp '2018-01-01'), (null, 2, null, null)", "t, n, d, seen"),
        ("values (1, 'a', 0.1::double, timestamptz '2018-01-01 00:00:00+00'), (2, null, null, null)", "n, t, d, seen"),
    ],
    ids=["row order", "column order", "zone-aware time"],
)
def test_the_same_content_has_the_same_hash(rows: str, columns: str) -> None:
    assert digest(rows, columns) == digest(BASE)


@pytest.mark.parametrize(
    "rows",
    [
        f"{BASE}, (2, null, null, null)",
        BASE.replace("'a'", "'b'"),
        BASE.replace("(2, null", "(2, ''"),
        BASE.replace("0.1", "0.2"),
        BASE.replace("2018-01-01", "2018-01-01 00:00:00.000001"),
    ],
    ids=["one row twice", "other text", "empty for null", "other number", "a microsecond"],
)
def test_any_difference_gives_another_hash(rows: str) -> None:
    assert digest(rows) != digest(BASE)


def test_excluded_columns_do_not_count() -> None:
    assert digest(BASE.replace("'a'", "'b'"), exclude=("t",)) == digest(BASE, exclude=("t",))
