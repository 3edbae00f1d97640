"""What the dbt target `spark` needs: the session, the lake tables under the names that dbt's sources have, empty schemas."""

import shutil

from pyspark.sql import SparkSession

from jobs.core.catalog import TABLES
from jobs.core.settings import Settings
from jobs.lake.session import open_session
from jobs.warehouse.paths import SCHEMAS, spark_warehouse
from jobs.warehouse.reading import Reading


def prepare_session(settings: Settings, reading: Reading, **options: str) -> SparkSession:
    """Opens the session that dbt-spark's `session` method finds, with every lake table in schema `lake`, in the version to read.

    Spark's catalog lives as long as the session, the files of an earlier build do not: they are removed first.
    `options` are Spark's own, on top of the usual ones.
    """
    session = open_session(settings, "c360 warehouse build", **options)
    for schema in SCHEMAS:
        session.sql(f"drop schema if exists {schema} cascade")
        shutil.rmtree(spark_warehouse(settings) / f"{schema}.db", ignore_errors=True)
    session.sql("create schema if not exists lake")
    for name, table in TABLES.items():
        pinned = f"delta.`{table.path(settings)}` version as of {reading.versions[name]}"
        session.sql(f"create or replace view lake.{name} as select * from {pinned}")
    return session
