"""The definitions of a commit or of a folder, for a comparison."""

import shutil
import subprocess
from pathlib import Path

import pytest

from jobs.core.errors import UsageError
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.segments.change.versions import catalogue_of

BUYERS = 'name: buyers\ndescription: "Whoever has bought once or more."\nrule: {event: Order Completed%s}\n'


class Project:
    """A repository with one segment, invented, and the settings that stand for it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "dbt_project" / "definitions" / "segments" / "buyers.yml"
        self.file.parent.mkdir(parents=True)
        self.settings = type("Stub", (), {"project_root": root, "child_environment": Settings().child_environment})()
        self.git("init", "--quiet", "--initial-branch=trunk")

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def write(self, more: str) -> None:
        self.file.write_text(BUYERS % more, encoding="utf-8")
        self.git("add", "--all")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def operand(settings: Settings, version: str) -> object:
    rule = catalogue_of(settings, version).segments["buyers"].rule
    return getattr(rule, "gte", None)


def test_a_commit_is_read_as_it_was(project: Project, tmp_path: Path) -> None:
    project.write("")
    project.git("commit", "--quiet", "--message=one")
    project.write(", gte: 3")
    project.git("commit", "--quiet", "--message=two")
    assert (operand(project.settings, "trunk~1"), operand(project.settings, "trunk")) == (None, 3)
    copy = tmp_path / "elsewhere" / "definitions"
    shutil.copytree(project.file.parent.parent, copy)
    (copy / "segments" / "buyers.yml").write_text(BUYERS % ", gte: 7", encoding="utf-8")
    assert operand(project.settings, str(copy)) == 7


@pytest.mark.parametrize("version", ["--output=x", "nowhere", "a b", "HEAD;id", ""])
def test_what_is_neither_folder_nor_revision_is_refused(project: Project, version: str) -> None:
    project.write("")
    project.git("commit", "--quiet", "--message=one")
    with pytest.raises(UsageError, match=r"no revision .* in this checkout; name a branch"):
        catalogue_of(project.settings, version)
    assert not (project.root / "x").exists()


def test_definitions_outside_of_the_project_are_not_needed() -> None:
    assert "high_value" in catalogue_of(Settings(), str(PROJECT_ROOT)).segments
