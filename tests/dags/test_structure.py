"""The DAGs as Airflow sees them: they parse, look as agreed, and keep the house rules."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from settingskit import make_settings

from jobs.core.definitions import load_syncs
from jobs.core.settings import PROJECT_ROOT
from jobs.orchestration.assets import ASSETS
from jobs.orchestration.policy import WAREHOUSE_POOL, Tag
from jobs.pipeline.airflow_env import POOLS
from jobs.pipeline.run import dag_order

DAGS = PROJECT_ROOT / "dags"
DAG_FILES = sorted(DAGS.glob("*.py"))
SNAPSHOT = Path(__file__).parent / "snapshot.json"
HEAVY = (
    "pyspark",
    "delta",
    "deltalake",
    "duckdb",
    "dbt",
    "mlflow",
    "great_expectations",
    "sklearn",
    "scipy",
    "sqlglot",
)
MAY_IMPORT = ("airflow.sdk", "jobs.orchestration.", "jobs.core.definitions", "jobs.core.settings")
PARSE_CPU_SECONDS = 1.0


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(DAGS), load_op_links=False)


@pytest.fixture(scope="module")
def dags(bag: DagBag) -> dict[str, Any]:
    """As a scheduler reads them: through a serialization round trip."""
    return {dag_id: DagSerialization.from_dict(DagSerialization.to_dict(dag)) for dag_id, dag in bag.dags.items()}


def schedule_of(dag: Any) -> str | list[str]:
    condition = getattr(dag.timetable, "asset_condition", None)
    if condition is None:
        return str(dag.timetable.summary)
    return sorted(f"{key.name} {key.uri}" for key, _ in condition.iter_assets())


def picture(dag: Any, parsed: Any) -> dict[str, Any]:
    """What people and other DAGs rely on."""
    return {
        "schedule": schedule_of(dag),
        "tags": sorted(dag.tags),
        "tasks": {
            task.task_id: {
                "arguments": parsed.get_task(task.task_id).arguments,
                "after": sorted(task.upstream_task_ids),
                "pool": task.pool,
                "emits": sorted(asset.name for asset in task.outlets),
            }
            for task in sorted(dag.tasks, key=lambda task: str(task.task_id))
        },
    }


def test_all_dags_parse(bag: DagBag, tmp_path: Path) -> None:
    assert bag.import_errors == {}
    assert len(bag.dags) >= 5
    # Maintenance is a matter of days: a run of the sample has no old files, and needs its year of payloads. Which days of
    # the past are wanted, a person says.
    expected = [*dag_order(make_settings(tmp_path)), "maintain_lake", "backfill_days"]
    assert sorted(bag.dags) == sorted(expected), "`c360 run` must run every DAG but maintenance and backfill"


def test_structure_is_as_agreed(bag: DagBag, dags: dict[str, Any]) -> None:
    found = {dag_id: picture(dags[dag_id], bag.dags[dag_id]) for dag_id in sorted(dags)}
    assert found == json.loads(SNAPSHOT.read_text()), json.dumps(found, indent=1)


def test_every_asset_is_emitted_once_and_by_a_last_task(dags: dict[str, Any]) -> None:
    emitters: dict[str, list[str]] = {}
    for dag in dags.values():
        for task in dag.tasks:
            for asset in task.outlets:
                emitters.setdefault(asset.name, []).append(task.task_id)
                assert not task.downstream_task_ids, f"{task.task_id} emits {asset.name} before the end of {dag.dag_id}"
    assert {name: len(tasks) for name, tasks in emitters.items()} == dict.fromkeys(ASSETS, 1)


def test_a_publishing_comes_right_after_its_gate(bag: DagBag) -> None:
    publishers = [t for dag in bag.dags.values() for t in dag.tasks if t.task_id == "publish_warehouse"]
    assert len(publishers) == 2
    for task in publishers:
        assert task.upstream_task_ids == {"gate_marts"}
        assert task.dag.get_task("gate_marts").upstream_task_ids == {"build_warehouse"}


def test_house_rules(dags: dict[str, Any]) -> None:
    known = {str(tag) for tag in Tag}
    for dag in dags.values():
        assert not dag.catchup
        assert dag.max_active_runs == 1
        assert dag.doc_md
        assert set(dag.tags) <= known
        assert [t.split(":")[0] for t in sorted(dag.tags)] == ["layer", "tier"]
        for task in dag.tasks:
            assert task.owner == "c360"
            assert task.retries == 1
            assert task.task_type == "C360Command"


def test_writers_of_the_warehouse_share_one_slot(bag: DagBag) -> None:
    for dag in bag.dags.values():
        for task in dag.tasks:
            writes = task.arguments[0] == "warehouse" or task.arguments == ["quality", "gate", "marts"]
            assert (task.pool == WAREHOUSE_POOL) == writes, f"{dag.dag_id}.{task.task_id}"
    assert set(POOLS) == {WAREHOUSE_POOL}


def test_one_dag_per_sync(bag: DagBag) -> None:
    for name, sync in load_syncs(PROJECT_ROOT).items():
        assert [t.arguments for t in bag.dags[name].tasks] == [["sync", "run", sync.name]]


def test_dags_is_no_package() -> None:
    assert not (DAGS / "__init__.py").exists()
    assert not list(DAGS.glob("dbt_*"))


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
def test_dag_files_import_the_sdk_and_what_is_light(path: Path) -> None:
    """Anywhere in the file: Airflow's public SDK, jobs.orchestration, and the definitions and settings of jobs.core."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    imported |= {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    assert [name for name in imported if not name.startswith(MAY_IMPORT)] == []


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda p: p.name)
def test_parsing_is_nearly_free(path: Path) -> None:
    """CPU seconds of one file beyond airflow.sdk itself, and no engine imported on the way."""
    assert len(path.read_text().splitlines()) <= 80
    program = (
        "import sys, time, json, runpy\n"
        "import airflow.sdk\n"
        "from airflow.sdk import DAG, BaseOperator, chain\n"
        "import airflow.providers.standard.hooks.subprocess\n"
        f"before = set(sys.modules); start = time.process_time(); runpy.run_path({str(path)!r})\n"
        "print(json.dumps([time.process_time() - start, sorted({m.split('.')[0] for m in set(sys.modules) - before})]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    assert seconds < PARSE_CPU_SECONDS
    assert not set(modules) & set(HEAVY)
