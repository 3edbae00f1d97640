"""Fixtures of the models lane: a registry that is copied instead of migrated anew, a tiny warehouse, one Spark session."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from settingskit import QUICK_JAVA
from shopkit import Shop, stand_in_for_spark, two_tastes

from jobs.core.settings import Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Path:
    """An MLflow database without runs: its migrations take seconds, a copy takes none."""
    from models.tracking import Registry

    settings = make_settings(tmp_path_factory.mktemp("registry") / "home")
    assert Registry(settings).names() == []
    return settings.home / "mlflow" / "mlflow.db"


@pytest.fixture
def settings(tmp_path: Path, make_settings: MakeSettings, empty_registry: Path) -> Settings:
    """Settings with a home of this test alone, which has an empty registry."""
    made = make_settings(tmp_path / "home")
    (made.home / "mlflow").mkdir()
    shutil.copy(empty_registry, made.home / "mlflow" / "mlflow.db")
    return made


@pytest.fixture
def open_shop(settings: Settings) -> Iterator[Callable[[Shop], Any]]:
    """Loads a shop into a warehouse in memory; all connections are closed after the test."""
    from jobs.lake.duck import connect

    opened = []

    def load(shop: Shop) -> Any:
        opened.append(connect(settings))
        return shop.load(opened[-1])

    yield load
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(open_shop: Callable[[Shop], Any]) -> Any:
    """The warehouse of `two_tastes`."""
    return open_shop(two_tastes())


@pytest.fixture
def without_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Factors from numpy and a session that is never started; the Spark lane covers the real ones."""
    stand_in_for_spark(monkeypatch)


@pytest.fixture(scope="session")
def als_session(jar_home: Path) -> Iterator[Any]:
    """The one Spark session of the lane, tuned for tiny data."""
    from jobs.lake.session import open_session

    settings = Settings(home=jar_home, spark_driver_memory="1g", shuffle_partitions=1)
    options = {"spark.driver.extraJavaOptions": f"{QUICK_JAVA} -Duser.timezone=UTC"}
    session = open_session(settings, "c360-tests", **options)
    yield session
    session.stop()
