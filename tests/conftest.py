"""What every lane shares: settings with a home of their own, and the Spark jars, fetched once per checkout.

Use `make_settings` as a fixture, or import the function: `from conftest import make_settings`.
"""

import fcntl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.core.settings import PROJECT_ROOT, Settings, prepare_process

SHARED_HOME = PROJECT_ROOT / ".c360-test"
SAMPLE_NOW = datetime(2018, 1, 2, tzinfo=UTC)

prepare_process()  # telemetry of every library off, before a test module imports one


def make_settings(home: Path, **overrides: Any) -> Settings:
    """Settings on the sample's clock with `home` as C360_HOME; its jars are the shared ones. Reads no environment."""
    home.mkdir(parents=True, exist_ok=True)
    shared = SHARED_HOME / "jars"
    shared.mkdir(parents=True, exist_ok=True)
    if not (home / "jars").exists():
        (home / "jars").symlink_to(shared, target_is_directory=True)
    return Settings.model_validate({"home": home, "now": SAMPLE_NOW, "log_level": "WARNING"} | overrides)


@pytest.fixture(name="make_settings")
def make_settings_fixture() -> Callable[..., Settings]:
    """The function above, for tests that prefer a fixture."""
    return make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with an empty home of this test alone."""
    return make_settings(tmp_path / "home")


@pytest.fixture(scope="session")
def jar_home() -> Path:
    """A home whose jars folder holds the verified Spark jars; fetched once, under a lock so that lanes may overlap."""
    from jobs.lake.jars import fetch

    SHARED_HOME.mkdir(exist_ok=True)
    with (SHARED_HOME / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch(Settings(home=SHARED_HOME))
    return SHARED_HOME
