"""The dbt target `spark` on tiny lakes: one session, tuned for tables of ten rows, built as often as one likes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from settingskit import QUICK_JAVA, SMALL_PLANS

from jobs.core.settings import Settings
from jobs.lake import duck
from jobs.lake.session import JVM_OPTIONS, spark_options
from jobs.warehouse.content import Content, content_hash
from jobs.warehouse.dbt import raise_failures, run_dbt
from jobs.warehouse.paths import build_file, spark_warehouse
from jobs.warehouse.reading import reading_now
from jobs.warehouse.spark import prepare_session


def spark_home(home: Path, jar_home: Path, lake: Settings) -> Settings:
    """Settings of a home for the target spark on the lake of another home, on that one's clock."""
    home.mkdir()
    (home / "jars").symlink_to(jar_home / "jars", target_is_directory=True)
    (home / "lake").symlink_to(lake.lake, target_is_directory=True)
    options = {"dbt_target": "spark", "spark_driver_memory": "1g", "shuffle_partitions": 1}
    return Settings.model_validate({"home": home, "now": lake.now} | options)


@contextmanager
def session_ended() -> Iterator[None]:
    """Whatever session dbt was given ends with the block."""
    from pyspark.sql import SparkSession

    try:
        yield
    finally:
        if (session := SparkSession.getActiveSession()) is not None:
            session.stop()


def contents_on_spark(settings: Settings) -> dict[str, Content]:
    """Content of every table that one build makes. The models only: what the data tests say of equal rows is equal too, and on
    Spark they take minutes."""
    assert settings.now is not None
    reading = reading_now(settings, settings.now)
    prepare_session(settings, reading, **_quick_start(settings))
    raise_failures(run_dbt(settings, build_file(settings), reading, [], ["--resource-type", "model"]))
    connection = duck.connect(settings)
    try:
        return {
            f"{path.parent.name.removesuffix('.db')}.{path.name}": content_hash(connection, f"delta_scan('{path}')")
            for path in sorted(spark_warehouse(settings).glob("*.db/*"))
        }
    finally:
        connection.close()


def _quick_start(settings: Settings) -> dict[str, str]:
    """For tables of ten rows: no compiled plans, no statistics, one task per snapshot."""
    java = spark_options(settings)["spark.driver.extraJavaOptions"]
    return SMALL_PLANS | {
        "spark.driver.extraJavaOptions": java.replace(JVM_OPTIONS, QUICK_JAVA),
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.stats.collect": "false",
    }
