"""Scheduled pulls become DAGs of their own; those without a schedule do not."""

from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from settingskit import make_settings

from jobs.core import definitions
from jobs.core.definitions import DefinitionError, load_pulls
from jobs.core.settings import PROJECT_ROOT
from jobs.pipeline.run import dag_order

FILE = PROJECT_ROOT / "dags" / "pull_sources.py"
PULL = """
name: {name}
description: "Sales of all stores, from a bucket, every night."
kind: {kind}
source: pos
options: {{bucket: exports}}
{schedule}
"""


@pytest.fixture
def pulls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pulls in place of the shipped one."""
    monkeypatch.setattr(definitions, "PULL_FOLDER", tmp_path)
    return tmp_path


def write(folder: Path, name: str, kind: str = "s3", schedule: str = "") -> None:
    (folder / f"{name}.yml").write_text(PULL.format(name=name, kind=kind, schedule=schedule))


def test_one_dag_per_scheduled_pull(pulls: Path, tmp_path: Path) -> None:
    write(pulls, "nightly_exports", schedule='schedule: "10 4 * * *"')
    write(pulls, "crm_people", kind="rest", schedule='schedule: "20 * * * *"')
    write(pulls, "by_hand")
    bag = DagBag(str(FILE), load_op_links=False)
    assert bag.import_errors == {}
    found = {dag.dag_id: (dag.schedule, [t.arguments for t in dag.tasks]) for dag in bag.dags.values()}
    assert found == {
        "pull_crm_people": ("20 * * * *", [["ingest", "pull", "rest", "crm_people"]]),
        "pull_nightly_exports": ("10 4 * * *", [["ingest", "pull", "s3", "nightly_exports"]]),
    }
    for dag in bag.dags.values():
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert sorted(dag.tags) == ["layer:landing", "tier:standard"]
        assert [asset for task in dag.tasks for asset in task.outlets] == []
    assert dag_order(make_settings(tmp_path / "home"))[:3] == [
        "pull_crm_people",
        "pull_nightly_exports",
        "ingest_events",
    ]


def test_the_shipped_pulls_wait_for_their_secret() -> None:
    """A fresh installation asks nobody for anything."""
    assert [pull.name for pull in load_pulls(PROJECT_ROOT).values() if pull.schedule] == []


@pytest.mark.parametrize("schedule", ["schedule: daily", 'schedule: "* * * *"', "every: hour", "kind: ftp"])
def test_headers_are_strict(pulls: Path, schedule: str) -> None:
    write(pulls, "nightly_exports", schedule=schedule)
    with pytest.raises(DefinitionError, match=r"nightly_exports\.yml"):
        load_pulls(PROJECT_ROOT)
