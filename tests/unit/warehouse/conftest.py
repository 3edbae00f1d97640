"""Homes with published builds, made once and copied for each test. Builds a, b and c are judged in advance."""

import shutil
from pathlib import Path

import pytest
from publishdrill.builds import make_build, pass_gate
from settingskit import make_settings

from jobs.core.settings import Settings
from jobs.warehouse.publish import publish

BUILDS = ("a", "b", "c")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Build `a`, then build `b`, published. Read only."""
    settings = make_settings(tmp_path_factory.mktemp("template") / "home", duckdb_memory="500MB")
    pass_gate(settings, *BUILDS)
    for number, build in enumerate(BUILDS[:2], 1):
        make_build(settings, build, number)
        publish(settings)
    return settings


@pytest.fixture
def published(template: Settings, tmp_path: Path) -> Settings:
    """A copy of it, for a test to change."""
    shutil.copytree(template.home, tmp_path / "home", symlinks=True)
    return template.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture
def judged(published: Settings) -> Settings:
    """The verdicts without the files."""
    shutil.rmtree(published.warehouse_file.parent)
    return published
