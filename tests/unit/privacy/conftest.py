"""Homes of one test each that share a copy of DuckDB's extension: installing it costs a second each time."""

from pathlib import Path

import pytest
from settingskit import make_settings

from jobs.core.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    shared = tmp_path_factory.getbasetemp() / "duckdb"
    shared.mkdir(exist_ok=True)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "duckdb").symlink_to(shared, target_is_directory=True)
    return make_settings(home)
