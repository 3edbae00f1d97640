"""docs/triggers.md: every YAML example in it is judged as a file of this repository, and the scenario holds."""

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from jobs.core.settings import PROJECT_ROOT
from jobs.segments.every_file import judge
from jobs.segments.language.catalogue import load as load_catalogue
from jobs.segments.scenarios import files
from jobs.segments.scenarios.play import play
from jobs.segments.triggers.files import DEFINITIONS
from jobs.segments.triggers.files import load as load_book

PAGE = PROJECT_ROOT / "docs" / "triggers.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped definitions with the page's examples at the places that they name."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT_ROOT / DEFINITIONS, root / DEFINITIONS)
    examples = re.findall(r"```yaml\n# (\S+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(examples) == 3
    for path, text in examples:
        (root / path).write_text(text, encoding="utf-8")
    return root


def test_the_examples_are_right(project: Path) -> None:
    assert judge(project).problems == []


def test_the_scenario_of_the_page_holds(project: Path) -> None:
    catalogue = load_catalogue(project)
    world = files.World(catalogue, load_book(project, catalogue))
    [file] = files.load([project / files.SCENARIOS / "cart_left.yml"], world)
    engines = duckdb.connect(), duckdb.connect()
    for connection in engines:
        connection.execute("set TimeZone = 'UTC'")
    assert [str(failure) for failure in play(file, world, engines).failures] == []


def test_the_page_names_every_reason(project: Path) -> None:
    from jobs.segments.triggers.model import Reason

    text = PAGE.read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
