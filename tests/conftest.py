"""What every lane shares: settings with a home of their own, and the Spark jars, fetched once per checkout.

Use `make_settings` as a fixture, or import the function: `from settingskit import make_settings`.
"""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from settingskit import SAMPLE_NOW, SHARED_HOME, make_settings

from jobs.core.settings import Settings, prepare_process

__all__ = ["SAMPLE_NOW", "make_settings"]

# Machines differ and are shared: the time that a case takes is no finding. A failing case prints what replays it.
hypothesis_settings.register_profile(
    "c360", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
hypothesis_settings.load_profile("c360")
prepare_process()  # telemetry of every library off, before a test module imports one


@pytest.fixture(scope="session", name="make_settings")
def make_settings_fixture() -> Callable[..., Settings]:
    """The function, for tests that prefer a fixture."""
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
