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
                connection.execute(f"copy {name} to '{self.work / name}.parquet' (format parquet)")
                spark.read.parquet(str(self.work / f"{name}.parquet")).createOrReplaceTempView(name)
            spark.sql(program.query(Engine.SPARK)).write.parquet(str(self.work / "result"))
            columns = ", ".join(
                ("profile_id", "cast(as_of as timestamp) as as_of", "cast(due_at as timestamp) as due_at")
            )
            files = f"read_parquet('{self.work / 'result'}/*.parquet')"
            connection.execute(
                f"create or replace temp table result as select * replace ({columns.removeprefix('profile_id, ')}) from {files}"
            )
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
