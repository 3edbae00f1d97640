"""The query of random catalogues on Spark = on DuckDB = oracle: one program in the words of both engines.

The seed is fixed, and few catalogues have several histories each, so that it ends within a minute.
"""

from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import Phase, given, seed
from hypothesis import settings as hypothesis_settings
from pyspark.sql import SparkSession
from segments.dayskit import DAYS, expected, instants, query
from segments.duckkit import TIME, Asked, Duck, asked_table, named, tables
from segments.oracle import Oracle
from segments.worlds import Case, worlds

from jobs.segments.compile import percentiles
from jobs.segments.compile.portable import Engine
from jobs.segments.compile.program import compiled

DRAWN, CASES, SEED = 24, 100, 20180325


def rows_on_spark(session: SparkSession, case: Case, asked: list[Asked]) -> list[dict[str, Any]]:
    """The rows of the whole program; percentiles come by the same queries as on DuckDB."""
    program = compiled(case.world.catalogue)
    for name, table in (tables(case.world) | {"asked": asked_table(asked)}).items():
        session.createDataFrame(table).createOrReplaceTempView(name)
    ranked = None
    for zone, found in percentiles.zones(program).items():
        session.sql(percentiles.days_asked(zone, Engine.SPARK)).createOrReplaceTempView("days_asked")
        query = percentiles.program_of(case.world.catalogue, found).query(Engine.SPARK)
        session.sql(query).createOrReplaceTempView("valued")
        rows = session.sql(percentiles.ranked(found, "valued", Engine.SPARK))
        ranked = rows if ranked is None else ranked.union(rows)
    if ranked is not None:
        ranked.createOrReplaceTempView("ranked")
    return list(session.sql(program.query(Engine.SPARK)).toArrow().to_pylist())


def naive(moment: Any) -> Any:
    """The instant without its zone, which is UTC here; anything else as it is."""
    return moment.replace(tzinfo=None) if isinstance(moment, datetime) else moment


def test_spark_duckdb_and_oracle_agree(session: SparkSession) -> None:
    cases = 0

    # Nothing is shrunk: the same case on DuckDB shrinks in a second (tests/segments).
    @seed(SEED)
    @hypothesis_settings(max_examples=DRAWN, phases=[Phase.generate], database=None)
    @given(worlds(histories="abcdefgh"))
    def check(case: Case) -> None:
        nonlocal cases
        asked = [key for group in case.groups for key in group.asked]
        with duckdb.connect(config={"threads": 1}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            duck = Duck(connection, case.world).ask(asked)
        oracle = Oracle(case.world)
        rows = [{name: naive(value) for name, value in row.items()} for row in rows_on_spark(session, case, asked)]
        assert len(rows) == len(set(asked))
        for row in rows:
            name, moment = row["profile_id"], row["as_of"]
            answers = named(case.world.catalogue, row)
            assert answers == oracle.answers(name, moment), f"{name} at {moment}"
            assert (answers, row["due_at"]) == duck[name, moment], f"{name} at {moment}"
        cases += 1 if compiled(case.world.catalogue).percentiles else len(case.groups)

    check()
    assert cases >= CASES


def test_days_begin_alike(session: SparkSession) -> None:
    """In every zone of the pools, around every change of its clocks; 4 seconds."""
    for zone, days in DAYS.items():
        asked = instants(days)
        session.createDataFrame(pa.table({"as_of": pa.array(asked, TIME)})).createOrReplaceTempView("asked")
        rows = session.sql(query(zone, Engine.SPARK)).toArrow().to_pylist()
        found = [tuple(naive(value) for value in row.values()) for row in rows]
        assert found == [expected(zone, moment) for moment in asked], zone
