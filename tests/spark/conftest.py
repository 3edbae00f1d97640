"""The one Spark session of the lane, tuned for tiny data: one shuffle partition, C1 only."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from settingskit import SMALL_PLANS

from jobs.core.settings import Settings
from jobs.lake.session import open_session


@pytest.fixture(scope="session")
def session(jar_home: Path) -> Iterator[SparkSession]:
    settings = Settings(home=jar_home, spark_driver_memory="1g", shuffle_partitions=1, spark_master="local[2]")
    spark = open_session(settings, "c360-tests", **SMALL_PLANS)
    yield spark
    spark.stop()
