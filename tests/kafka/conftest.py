"""The lane's one broker and one Spark session, with the Kafka jars, tuned for tiny data."""

import fcntl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brokerkit import Broker
from kafkakit import Reader
from pyspark.sql import SparkSession
from settingskit import SMALL_PLANS

from jobs.core.settings import Settings
from jobs.lake.jars import KAFKA, fetch
from jobs.lake.session import open_session

sys.path.append(str(Path(__file__).parents[1] / "collector"))  # doorkit
SMALL = {"spark_driver_memory": "1g", "shuffle_partitions": 1, "spark_master": "local[2]"}


@pytest.fixture(scope="session")
def broker(jar_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with (jar_home / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch(Settings(home=jar_home), KAFKA)
        fetch(Settings(home=jar_home), "kafka-broker")
    found = Broker(jar_home, tmp_path_factory.mktemp("broker") / "node")
    found.format()
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="session")
def session(broker: Broker, jar_home: Path) -> Iterator[SparkSession]:
    settings = Settings.model_validate({"home": jar_home, "kafka_bootstrap_servers": broker.servers} | SMALL)
    spark = open_session(settings, "c360-kafka-tests", **SMALL_PLANS)
    yield spark
    spark.stop()


@pytest.fixture
def reader(
    session: SparkSession, broker: Broker, tmp_path: Path, make_settings: Callable[..., Settings]
) -> Callable[..., Reader]:
    """Makes a reader of topics in a home of this test alone: `reader("topic")`, or with settings."""

    def make(*topics: str, **more: object) -> Reader:
        mapped = ",".join(f"{topic}=web" for topic in topics)
        settings = make_settings(
            tmp_path / "home",
            kafka_bootstrap_servers=broker.servers,
            kafka_topics=mapped,
            kafka_request_seconds=10,
            **more,
        )
        return Reader(session, settings)

    return make
