"""Spark as the engine of a program whose relations stand in a DuckDB connection: for more moments than fit this process."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jobs.segments.compile.portable import Engine
from jobs.segments.compile.program import Program

RELATIONS = ("eval_events", "asked", "people", "ranked")


class SparkRunner:
    """Spark, over files of the relations: the same program, in Spark's words. `session` is asked for when it is first needed."""

    def __init__(self, session: Callable[[], SparkSession], work: Path) -> None:
        self.session = session
        self.work = work

    def run(self, connection: Any, program: Program) -> None:
        """Files in `work` are gone when it ends."""
        spark = self.session()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        try:
            for name in RELATIONS:
                connection.execute(
                    f"copy ({_zoned(connection, name)}) to '{self.work / name}.parquet' (format parquet)"
                )
                spark.read.parquet(str(self.work / f"{name}.parquet")).createOrReplaceTempView(name)
            spark.sql(program.query(Engine.SPARK)).write.parquet(str(self.work / "result"))
            times = ", ".join(f"cast({name} as timestamp) as {name}" for name in ("as_of", "due_at"))
            files = f"read_parquet('{self.work / 'result'}/*.parquet')"
            connection.execute(f"create or replace temp table result as select * replace ({times}) from {files}")
        finally:
            shutil.rmtree(self.work, ignore_errors=True)


def _zoned(connection: Any, relation: str) -> str:
    """A query for the relation with times as Spark has them: moments, not times without a zone."""
    described = connection.execute(f"describe {relation}").fetchall()
    zoned = ", ".join(f'cast("{row[0]}" as timestamptz) as "{row[0]}"' for row in described if row[1] == "TIMESTAMP")
    return f"select * replace ({zoned}) from {relation}" if zoned else f"from {relation}"
