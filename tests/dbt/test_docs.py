"""The docs page, the exposures, and the SQL of docs/warehouse.md, each against what it speaks of."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from warehousekit import Warehouse

from jobs.core.catalog import TABLES
from jobs.core.context import Context
from jobs.core.settings import PROJECT_ROOT
from jobs.lake.lineage import datasets
from jobs.warehouse.commands import group
from jobs.warehouse.docs import OFFLINE
from jobs.warehouse.query import run_query

EXAMPLES = re.findall(
    r"^```sql\n(.*?)^```",
    (PROJECT_ROOT / "docs" / "warehouse.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("query", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs_and_answers(warehouse: Warehouse, query: str) -> None:
    names, rows = run_query(warehouse.settings, query)
    assert rows
    assert len(set(names)) == len(names)


def test_exposures_name_what_their_queries_read(warehouse: Warehouse) -> None:
    compared = 0
    for exposure in warehouse.manifest["exposures"].values():
        file = exposure["config"]["meta"].get("queries")
        if file is None:
            continue
        text = "\n".join(EXAMPLES) if file.endswith(".md") else (PROJECT_ROOT / file).read_text(encoding="utf-8")
        read = set(re.findall(r"\b(?:marts|intermediate)\.(\w+)", text))
        declared = {node.rpartition(".")[2] for node in exposure["depends_on"]["nodes"]}
        assert declared == read, f"{exposure['name']}: dbt_project/models/exposures.yml and {file} differ"
        compared += 1
    assert compared == 3


def test_lineage_names_what_the_build_reads(warehouse: Warehouse) -> None:
    """Apart from what the ops models show, which is about the pipeline itself."""
    nodes = [n for n in warehouse.manifest["nodes"].values() if n["resource_type"] == "model" and n["schema"] != "ops"]
    read = {TABLES[name].folder for node in nodes for _, name in node["sources"]}
    assert {name for _, name in datasets("warehouse.build")[0]} == read


def test_the_page_holds_the_project_and_reaches_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    before = sorted(warehouse.settings.warehouse_file.parent.iterdir())
    context = Context.from_settings(warehouse.settings)
    done = CliRunner().invoke(group, ["docs", "--to", str(tmp_path / "site")], obj=context, standalone_mode=False)
    assert done.exception is None, done.output
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["index.html"]
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert f"<head>{OFFLINE}" in page
    assert "connect-src" not in OFFLINE
    assert "default-src 'none'" in OFFLINE
    for part in ("model.c360.dim_profiles", "exposure.c360.run_summary", "exposure.c360.sync_file_drop_profiles"):
        assert part in page
    assert f"build {warehouse.build_id}" in page, "the catalog of the published tables, with their comments"
    assert sorted(warehouse.settings.warehouse_file.parent.iterdir()) == before
