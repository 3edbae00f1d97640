"""The dags lane: Airflow in a home of its own, prepared before a test module imports it (it would write to ~/airflow)."""

import shutil
import tempfile
from pathlib import Path

import pytest
from dags_kit import Stub, make_stub
from settingskit import make_settings

from jobs.core.settings import Settings, set_process_variables
from jobs.pipeline.airflow_env import airflow_environment, migrate_once

PARSE_HOME = Path(tempfile.mkdtemp(prefix="c360-dags-"))
set_process_variables(airflow_environment(make_settings(PARSE_HOME)))


@pytest.fixture(scope="session")
def migrated() -> Path:
    """A home with Airflow's database and pools, made once for the lane."""
    settings = make_settings(PARSE_HOME)
    migrate_once(settings, airflow_environment(settings))
    return settings.home


@pytest.fixture
def airflow_stub(tmp_path: Path, migrated: Path) -> tuple[Settings, Stub]:
    """Settings of a home with a ready Airflow database, whose tasks call a stub."""
    stub = make_stub(tmp_path / "home")
    for folder in ("airflow", "keys"):
        shutil.copytree(migrated / folder, stub.home / folder)
    return make_settings(stub.home, task_command=stub.executable), stub


def pytest_sessionfinish() -> None:
    """Removes the home that was made at import."""
    shutil.rmtree(PARSE_HOME, ignore_errors=True)
