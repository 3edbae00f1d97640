"""The dbt lane: one tiny lake, one real build, one gate verdict and one publish, shared by all tests of the lane."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lakekit import build_tiny_lake
from warehousekit import Warehouse, build_contents, built_with_manifest, record_gate

from jobs.core.settings import Settings
from jobs.warehouse.publish import publish


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[..., Settings]) -> Warehouse:
    """The tiny lake, built and published once. Read only: tests that change anything take `spare`."""
    settings = make_settings(tmp_path_factory.mktemp("warehouse") / "home", duckdb_memory="1GB")
    build_tiny_lake(settings)
    build_id, manifest = built_with_manifest(settings)
    contents = build_contents(settings)
    record_gate(settings, build_id)
    publish(settings)
    return Warehouse(settings, build_id, contents, manifest)


@pytest.fixture
def spare(warehouse: Warehouse, tmp_path: Path) -> Settings:
    """A copy of the built and published home, for a test to change."""
    shutil.copytree(warehouse.settings.home, tmp_path / "home", symlinks=True)
    return warehouse.settings.model_copy(update={"home": tmp_path / "home"})
