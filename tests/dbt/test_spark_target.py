"""The same dbt project on Spark: every public mart holds the rows that DuckDB built from the same lake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lakekit import NOW
from warehousekit import Warehouse

from jobs.core.settings import Settings
from jobs.lake import duck
from jobs.lake.session import spark_options
from jobs.warehouse.content import Content, content_hash
from jobs.warehouse.dbt import raise_failures, run_dbt
from jobs.warehouse.paths import build_file, spark_warehouse
from jobs.warehouse.reading import reading_now
from jobs.warehouse.spark import prepare_session

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def spark_contents(
    warehouse: Warehouse, jar_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Content]]:
    """Contents of every table that one build on Spark has made of the lake of `warehouse`."""
    from pyspark.sql import SparkSession

    home = tmp_path_factory.mktemp("spark") / "home"
    home.mkdir()
    (home / "jars").symlink_to(jar_home / "jars", target_is_directory=True)
    (home / "lake").symlink_to(warehouse.settings.lake, target_is_directory=True)
    options = {"dbt_target": "spark", "spark_driver_memory": "1g", "shuffle_partitions": 1}
    settings = Settings.model_validate({"home": home, "now": warehouse.settings.now} | options)
    try:
        reading = reading_now(settings, NOW)
        prepare_session(settings, reading, **_quick_start(settings))
        # The models only: what the data tests say of equal rows is equal too, and on Spark they take minutes.
        raise_failures(run_dbt(settings, build_file(settings), reading, [], ["--resource-type", "model"]))
        yield _contents(settings)
    finally:
        if (session := SparkSession.getActiveSession()) is not None:
            session.stop()


def _quick_start(settings: Settings) -> dict[str, str]:
    """For tables of ten rows: no second compiler, no statistics, one task per snapshot."""
    java = spark_options(settings)["spark.driver.extraJavaOptions"]
    return {
        "spark.driver.extraJavaOptions": f"{java} -XX:TieredStopAtLevel=1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.stats.collect": "false",
    }


def _contents(settings: Settings) -> dict[str, Content]:
    connection = duck.connect(settings)
    try:
        return {
            f"{path.parent.name.removesuffix('.db')}.{path.name}": content_hash(connection, f"delta_scan('{path}')")
            for path in sorted(spark_warehouse(settings).glob("*.db/*"))
        }
    finally:
        connection.close()


def test_spark_builds_equal_rows(warehouse: Warehouse, spark_contents: dict[str, Content]) -> None:
    assert {name: spark_contents.get(name) for name in warehouse.contents} == warehouse.contents
