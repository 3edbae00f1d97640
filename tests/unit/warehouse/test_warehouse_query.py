"""What a query on the published warehouse may not do, and how it is held to its time and memory."""

import time
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.commands import group
from jobs.warehouse.query import answering, render, run_query
from jobs.warehouse.reader import open_published

LINES = (Path(__file__).parent / "refused.sql").read_text(encoding="utf-8").splitlines()
DOOR = LINES.index(next(line for line in LINES if line.startswith("-- by the door")))
STATEMENTS = [line for line in LINES if line and not line.startswith("--")]
BY_CONNECTION = [line for line in LINES[:DOOR] if line and not line.startswith("--")]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_it_is_refused_in_one_line(template: Settings, statement: str) -> None:
    before = hash_file(template.warehouse_file)
    with pytest.raises(UsageError, match=r"^query refused: ") as raised:
        run_query(template, statement.format(home=template.home))
    assert "\n" not in str(raised.value)
    assert not list(template.home.glob("stolen*"))
    assert hash_file(template.warehouse_file) == before


def test_the_connection_alone_refuses_whatever_reaches_beyond_it(template: Settings) -> None:
    """Whoever is handed a connection passes no door: segments, models, syncs."""
    connection = open_published(template)
    passed = []
    for statement in BY_CONNECTION:
        try:
            connection.execute(statement.format(home=template.home)).fetchall()
            passed.append(statement)
        except duckdb.Error:
            continue
    connection.close()
    assert passed == []
    assert len(BY_CONNECTION) > 40


def test_on_an_open_connection_they_would_work(template: Settings) -> None:
    """Else the list would prove nothing."""
    with duckdb.connect(str(template.warehouse_file), read_only=True) as connection:
        assert connection.execute(f"select * from read_text('{template.home}/warehouse/c360.duckdb.json')").fetchall()
        connection.execute("set threads = 3")


@pytest.mark.parametrize(
    "query",
    [
        "select 1",
        "from marts.kpi_daily limit 1",
        "with x as (select 1 as y) select * from x",
        "values (1)",
        "describe marts.kpi_daily",
        "summarize marts.kpi_daily",
        "show all tables",
        "explain select 1",
        "explain analyze select 1",
        "-- a remark\n/* and\n one */ EXPLAIN (format json) select 1",
        "select '\"function_name\":\"query\"' as query, 'enable_logging' as query_table",
        "select " + " + ".join(["1"] * 900),
        "pivot marts.kpi_daily on build_number in (2) using count(*)",
        "select 1; -- done",
    ],
)
def test_reading_is_allowed(template: Settings, query: str) -> None:
    assert run_query(template, query)[1]


@pytest.mark.parametrize(
    "query",
    ["select count(*) from range(100_000_000_000) a, range(1_000_000) b", "select * from range(100_000_000_000)"],
)
def test_a_query_that_takes_too_long_is_stopped_also_while_it_is_fetched(template: Settings, query: str) -> None:
    hasty = template.model_copy(update={"query_seconds": 0.3})
    begun = time.monotonic()
    with (
        pytest.raises(PermanentError, match=r"stopped after 0\.3 seconds.*C360_QUERY_SECONDS"),
        answering(hasty, query) as (names, rows),
    ):
        for _ in render(names, rows, style="csv", limit=0):
            pass
    assert time.monotonic() - begun < 10


def test_a_query_that_takes_too_much_memory_is_refused(template: Settings) -> None:
    small = template.model_copy(update={"duckdb_memory": "30MB", "query_spill": "1MB"})
    with pytest.raises(UsageError, match="query refused: Out of Memory"):
        run_query(small, "select list(i) from range(5_000_000) r(i)")


def test_the_command_says_it_in_one_line_and_prints_as_it_fetches(template: Settings) -> None:
    def sql(*arguments: str) -> str:
        context = Context.from_settings(template)
        return CliRunner().invoke(group, ["sql", *arguments], obj=context, standalone_mode=False).output

    assert sql("--csv", "select i from range(3) r(i)") == "i\n0\n1\n2\n"
    assert sql("--json", "select 1 as one") == '{"one": 1}\n'
    assert sql("--limit", "2", "select i from range(2) r(i)").splitlines()[-1].strip() == "1"
    assert sql("--limit", "1", "select i from range(2) r(i)").splitlines()[-1].startswith("… more rows than 1; ")


def test_a_table_takes_no_more_rows_than_tell_that_there_are_more() -> None:
    rows = iter([(number,) for number in range(10)])
    assert "".join(render(["i"], rows, style="table", limit=3)).endswith(
        "… more rows than 3; use --limit, --csv or --json"
    )
    assert next(rows) == (4,)
