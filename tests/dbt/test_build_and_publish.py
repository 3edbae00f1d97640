"""Building again, failing builds, the gate before publishing, the swap, and what a reader may not do."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
from lakekit import Lake, profile, write_lake
from warehousekit import Warehouse, build_contents, built, record_gate

from jobs.core.catalog import lake_table
from jobs.core.errors import ExitCode, GateError, PermanentError, RetryableError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file, sidecar_file
from jobs.warehouse.publish import publish
from jobs.warehouse.query import list_tables, render, run_query
from jobs.warehouse.reader import open_build, open_published
from jobs.warehouse.stamp import stamps

CLUSTERS = "source:lake.gold_profile_clusters+"


def copy_as_build(settings: Settings) -> None:
    """Puts the published file back as the private build: spares a test the minutes of another one."""
    shutil.copyfile(settings.warehouse_file, build_file(settings))


def test_a_second_build_gives_equal_contents_and_leaves_the_published_file_alone(
    warehouse: Warehouse, spare: Settings
) -> None:
    before = hash_file(spare.warehouse_file)
    build_id = built(spare)
    assert build_id != warehouse.build_id
    assert build_contents(spare) == warehouse.contents
    assert hash_file(spare.warehouse_file) == before


def test_a_selected_build_changes_only_what_was_selected(warehouse: Warehouse, spare: Settings) -> None:
    write_lake(spare, Lake().cluster(profile(4), 0))
    build_id = built(spare, select=CLUSTERS)
    contents = build_contents(spare)
    changed = {name for name, content in contents.items() if content != warehouse.contents[name]}
    assert changed == {"marts.fct_profile_clusters"}
    with pytest.raises(GateError, match="has not judged"):
        publish(spare)
    record_gate(spare, build_id)
    publish(spare)
    assert run_query(spare, "select count(*) from marts.fct_profile_clusters")[1] == [(3,)]


def test_a_failing_data_test_stops_the_build_with_the_gate_exit_code(spare: Settings) -> None:
    before = hash_file(spare.warehouse_file)
    write_lake(spare, Lake().cluster(profile(1), 7))  # a second cluster of the same profile and ML model
    with pytest.raises(GateError, match="unique_together_stg_models__profile_clusters"):
        built(spare, select=CLUSTERS)
    with pytest.raises(PermanentError, match="did not finish"):
        publish(spare)
    assert hash_file(spare.warehouse_file) == before


def test_a_failing_model_is_named_and_nothing_is_published(spare: Settings) -> None:
    before = hash_file(spare.warehouse_file)
    for file in lake_table("gold_profile_clusters").path(spare).rglob("*.parquet"):
        file.unlink()
    with pytest.raises(PermanentError, match="stg_models__profile_clusters"):
        built(spare, select=CLUSTERS)
    assert hash_file(spare.warehouse_file) == before


def test_a_selection_needs_a_published_warehouse(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="run: c360 warehouse build"):
        built(settings, select=CLUSTERS)


def test_publish_refuses_a_build_that_the_gate_has_blocked_or_not_seen_whole(
    warehouse: Warehouse, spare: Settings
) -> None:
    copy_as_build(spare)
    record_gate(spare, warehouse.build_id, failing="fct_orders")
    before = hash_file(spare.warehouse_file)
    with pytest.raises(GateError, match="fct_orders"):
        publish(spare)
    assert hash_file(spare.warehouse_file) == before
    assert build_file(spare).exists()


def test_publish_refuses_a_build_without_a_mart(warehouse: Warehouse, spare: Settings) -> None:
    copy_as_build(spare)
    with duckdb.connect(str(build_file(spare))) as connection:
        connection.execute("drop table marts.kpi_daily")
    with pytest.raises(PermanentError, match="kpi_daily"):
        publish(spare)


def test_publishing_describes_the_file_and_twice_is_once(warehouse: Warehouse) -> None:
    settings = warehouse.settings
    sidecar = json.loads(sidecar_file(settings).read_text(encoding="utf-8"))
    assert sidecar["build_id"] == warehouse.build_id
    assert sidecar["sha256"] == hash_file(settings.warehouse_file)
    assert sidecar["duckdb_version"] == duckdb.__version__
    assert sidecar["storage_version"].startswith("v1.")
    assert publish(settings).sha256 == sidecar["sha256"]
    assert sidecar["epoch"] > sidecar["build_epoch"] > 0
    assert not settings.warehouse_file.with_name("c360.duckdb.wal").exists()


def test_every_table_carries_the_id_of_the_build(warehouse: Warehouse) -> None:
    connection = open_published(warehouse.settings)
    carried = stamps(connection)
    connection.close()
    assert {"staging.stg_lake__consents", "marts.dim_profiles", "ops.build_info"} <= set(carried)
    assert set(carried.values()) == {warehouse.build_id}


def test_a_reader_keeps_its_build_while_the_next_one_is_published(warehouse: Warehouse, spare: Settings) -> None:
    reader = open_published(spare)
    copy_as_build(spare)
    with duckdb.connect(str(build_file(spare))) as connection:
        connection.execute("delete from marts.kpi_daily")
    publish(spare)
    assert reader.execute("select count(*) > 0 from marts.kpi_daily").fetchall() == [(True,)]
    reader.close()
    assert run_query(spare, "select count(*) from marts.kpi_daily")[1] == [(0,)]


def test_a_dag_run_takes_no_build_of_another_run(warehouse: Warehouse, spare: Settings) -> None:
    """The second run's build takes the place of the first one's, which may then neither judge nor publish it."""
    first, second = (spare.model_copy(update={"run_id": f"{dag}.manual__1"}) for dag in ("build_profiles", "score"))
    build_id = built(second, select=CLUSTERS)
    record_gate(spare, build_id)
    before = hash_file(spare.warehouse_file)
    for attempt in (lambda: open_build(first), lambda: publish(first)):
        with pytest.raises(
            RetryableError, match=r"of another run \(score.*clear build_warehouse of this DAG run"
        ) as raised:
            attempt()
        assert raised.value.exit_code == ExitCode.FAILED
        assert "\n" not in str(raised.value)
    assert hash_file(spare.warehouse_file) == before
    assert build_contents(second) == warehouse.contents
    assert publish(second).build_id == publish(second).build_id == build_id
    with pytest.raises(RetryableError, match="the published build is of another run"):
        publish(first)
    assert publish(spare).build_id == build_id, "a person publishes what there is"


def test_a_build_that_names_no_run_is_of_another_run(warehouse: Warehouse, spare: Settings) -> None:
    copy_as_build(spare)
    with duckdb.connect(str(build_file(spare))) as connection:
        connection.execute("alter table ops.build_info drop column run_id")
    open_build(spare).close()
    with pytest.raises(RetryableError, match="unknown"):
        open_build(spare.model_copy(update={"run_id": "build_profiles.manual__1"}))


def test_one_writer_at_a_time(spare: Settings) -> None:
    with writer_lock(spare):
        with pytest.raises(RetryableError, match="running"):
            publish(spare)
        with pytest.raises(RetryableError, match="running"):
            built(spare)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{home}/warehouse/dbt/profiles.yml')",
        "copy (select 1) to '{home}/stolen.csv'",
        "attach '{home}/warehouse/other.duckdb'",
        "set enable_external_access = true",
        "install httpfs",
        "delete from marts.dim_profiles",
    ],
)
def test_a_query_reaches_no_file_no_setting_and_no_write(warehouse: Warehouse, query: str) -> None:
    home = warehouse.settings.home
    with pytest.raises(UsageError):
        run_query(warehouse.settings, query.format(home=home))
    assert not (home / "stolen.csv").exists()


def test_without_a_warehouse_the_remedy_is_named(settings: Settings) -> None:
    with pytest.raises(PermanentError, match="c360 warehouse build"):
        open_published(settings)
    with pytest.raises(PermanentError, match="c360 warehouse build"):
        open_build(settings)
    with pytest.raises(PermanentError, match="c360 warehouse build"):
        publish(settings)


def test_rows_are_rendered_for_people_and_programs(warehouse: Warehouse) -> None:
    names, rows = run_query(warehouse.settings, "select order_id, sales_value from marts.fct_orders order by 1 limit 2")
    assert list(render(names, rows, style="table", limit=1)) == [
        "order_id  sales_value",
        "--------  -----------",
        "B1               8.50",
        "… more rows than 1; use --limit, --csv or --json",
    ]
    assert list(render(names, rows, style="csv", limit=1)) == ["order_id,sales_value", "B1,8.50", "B2,12.50"]
    assert json.loads(next(iter(render(names, rows, style="json", limit=1)))) == {
        "order_id": "B1",
        "sales_value": "8.50",
    }
    listed = [row[0] for row in list_tables(warehouse.settings)[1]]
    assert "marts.dim_profiles" in listed
    assert not [name for name in listed if name.startswith(("staging.", "intermediate."))]


def test_nothing_is_written_outside_the_home(warehouse: Warehouse) -> None:
    project = warehouse.settings.project_root / "dbt_project"
    assert not [p for p in (project / "target", project / "logs", project / "dbt_packages", Path("logs")) if p.exists()]
