"""House rules of the dbt project, read from the manifest of a real build."""

from typing import Any

import pytest
from warehousekit import Warehouse

from expectations import contracts
from jobs.core.settings import PROJECT_ROOT

TYPES = {"long": "bigint"}


def models(warehouse: Warehouse, schema: str) -> dict[str, dict[str, Any]]:
    found = {
        node["name"]: node
        for node in warehouse.manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] == schema
    }
    assert found, f"no models in schema {schema}"
    return found


def judgements(warehouse: Warehouse, node: dict[str, Any]) -> list[tuple[str, str | None]]:
    """(generic test, column) pairs that judge the model."""
    return [
        (test["test_metadata"]["name"], test.get("column_name"))
        for test in warehouse.manifest["nodes"].values()
        if test["resource_type"] == "test" and test.get("attached_node") == node["unique_id"]
    ]


def test_staging_reads_sources_only_and_joins_nothing(warehouse: Warehouse) -> None:
    for name, node in models(warehouse, "staging").items():
        assert node["refs"] == [], name
        assert len(node["sources"]) == 1, name
        assert " join " not in node["raw_code"].lower(), name
        assert name.startswith("stg_")
        assert "__" in name


def test_only_staging_and_ops_read_the_lake(warehouse: Warehouse) -> None:
    """But for what looks up whose events have moved: one query per kind of identifier, and an ephemeral model of staging would
    be one CTE for all of them, which DuckDB makes whole."""
    for schema in ("intermediate", "marts", "segments", "activation"):
        assert {name: n["sources"] for name, n in models(warehouse, schema).items() if n["sources"]}.keys() <= {
            "int_changes__events"
        }


def test_nothing_reads_a_layer_above_its_own(warehouse: Warehouse) -> None:
    """Traits (int_profiles__*) ask the public facts, as any other reader does, and rules (int_segments__*) ask for attributes;
    nothing else of intermediate reads marts."""
    above = {
        "intermediate": ("segments", "activation"),
        "marts": ("activation",),
        "segments": ("activation",),
    }
    nodes = warehouse.manifest["nodes"]
    for schema, forbidden in above.items():
        for name, node in models(warehouse, schema).items():
            schemas = {nodes[parent]["schema"] for parent in node["depends_on"]["nodes"] if parent in nodes}
            assert not schemas & set(forbidden), name
            if schema == "intermediate" and "marts" in schemas:
                allowed = name.startswith(("int_profiles__", "int_segments__"))
                assert allowed or name == "int_orders__profile_summary", name
            if schema == "marts" and "segments" in schemas:
                assert name == "fct_segment_memberships"


def test_every_model_says_its_grain_and_tests_its_key(warehouse: Warehouse) -> None:
    for schema in ("staging", "intermediate", "marts", "activation"):
        for name, node in models(warehouse, schema).items():
            assert node["description"].startswith("One row per"), name
            if node["config"]["materialized"] == "ephemeral":
                continue  # a part of its readers' queries; its key is that of the lake's table, which the gate judges
            judged = judgements(warehouse, node)
            keys = {c for t, c in judged if t == "unique"} & {c for t, c in judged if t == "not_null"}
            assert keys or any(t in ("key", "unique_together") for t, _ in judged), f"{name}: no primary key test"


def test_a_segment_is_a_filter_of_the_one_table_whose_key_is_tested(warehouse: Warehouse) -> None:
    """So that a segment needs no test of its own; fct_segment_memberships judges their rows all together."""
    for name, node in models(warehouse, "segments").items():
        assert node["description"].startswith("One row per"), name
        assert node["depends_on"]["nodes"] == ["model.c360.int_segments__profiles"], name
        assert node["raw_code"].split("select")[1].split()[-2:] == ["where", f"in_{name.removeprefix('seg_')}"]
    wide = models(warehouse, "intermediate")["int_segments__profiles"]
    assert {("key", "profile_id"), ("members_are_profiles", None)} <= set(judgements(warehouse, wide))


def test_marts_are_public_with_enforced_contracts(warehouse: Warehouse) -> None:
    for name, node in models(warehouse, "marts").items():
        assert node["contract"]["enforced"], name
        assert node["access"] == "public", name
        assert node["group"] == "warehouse", name
        if "profile_id" in node["columns"] and name != "dim_profiles":
            assert ("relationships", "profile_id") in judgements(warehouse, node), name


@pytest.mark.parametrize("name", sorted(contracts.marts()))
def test_dbt_promises_what_the_gate_demands(warehouse: Warehouse, name: str) -> None:
    promised = {c["name"]: c["data_type"] for c in models(warehouse, "marts")[name]["columns"].values()}
    assert promised == {c.name: TYPES.get(c.type, c.type) for c in contracts.marts()[name].columns}


def test_marts_are_those_of_the_contracts(warehouse: Warehouse) -> None:
    assert set(models(warehouse, "marts")) == set(contracts.marts())


def test_activation_models_have_exposures_named_like_them(warehouse: Warehouse) -> None:
    exposures = {e["name"]: e for e in warehouse.manifest["exposures"].values()}
    for name, node in models(warehouse, "activation").items():
        assert name in exposures
        assert node["unique_id"] in exposures[name]["depends_on"]["nodes"]


def test_no_model_reads_the_wall_clock() -> None:
    folder = PROJECT_ROOT / "dbt_project"
    for path in [*folder.rglob("models/**/*.sql"), *folder.rglob("macros/*.sql")]:
        text = path.read_text(encoding="utf-8").lower()
        found = [word for word in ("current_timestamp", "current_date", "now()", "getdate", "today()") if word in text]
        assert not found, f"{path.name}: {found}"


def test_marts_follow_provisional_profiles_too(warehouse: Warehouse) -> None:
    """The ledger's own redirects know nothing of profiles that no run has founded yet."""
    parents = {name: node["depends_on"]["nodes"] for name, node in models(warehouse, "marts").items()}
    assert not [name for name, nodes in parents.items() if "model.c360.stg_identity__profile_redirects" in nodes]
    assert "model.c360.int_identity__redirects" in parents["fct_profile_scores"]
