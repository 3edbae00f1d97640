"""Builds of a selection: what the published file then says of itself, to the next increment and to a pin."""

import re

import duckdb
import pytest
from lakekit import NOW, Lake, profile, write_lake
from warehousekit import Warehouse, built, record_gate

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse import increment
from jobs.warehouse.arrivals import GROWING
from jobs.warehouse.increment import PREVIOUS, Origin, origin_of, origin_of_selected, why_whole
from jobs.warehouse.publish import publish
from jobs.warehouse.reading import reading_now, reading_of_run

# What the DAG score_profiles builds.
SCORES = "source:lake.gold_recommendations+ source:lake.gold_profile_clusters+"
STATE = re.compile(r"\b(?:from|join) (?:previous|staging|intermediate|marts)\.(\w+)")


def published(settings: Settings, select: str) -> None:
    record_gate(settings, built(settings, select=select))
    publish(settings)


def test_scores_built_alone_leave_the_start_of_an_increment_as_it_was(
    warehouse: Warehouse, spare: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = origin_of(spare.warehouse_file)
    assert before is not None
    write_lake(spare, Lake().cluster(profile(4), 0).belongs(profile(3), anonymous_id="v3"))
    published(spare, SCORES)
    reading = reading_now(spare, NOW)
    assert reading.versions != before.versions, "else it would prove nothing"
    assert origin_of(spare.warehouse_file) == before
    assert why_whole(spare, reading) is None
    monkeypatch.setattr(increment, "project_hash", lambda _: "edited")
    published(spare, SCORES)
    assert why_whole(spare, reading) == "the dbt project or its settings have changed"
    selected = [row["run_id"] for row in delta.read(spare, "ops_runs").to_pylist() if '"select"' in row["details"]]
    assert len(selected) == 2
    with pytest.raises(UsageError, match=f"of run {selected[0]} was of a selection .source:lake.gold_recomm"):
        reading_of_run(spare, selected[0], None)


def test_an_increment_does_not_start_from_tables_of_two_moments(warehouse: Warehouse, spare: Settings) -> None:
    """Whose v3 is has been said anew, whose its events are has not: the comparison would find nothing."""
    write_lake(spare, Lake().belongs(profile(3), anonymous_id="v3"))
    published(spare, "int_identity__identifiers")
    why = "--select has built int_identity__identifiers without the rest"
    assert why_whole(spare, reading_now(spare, NOW)) == why
    published(spare, SCORES)
    assert why_whole(spare, reading_now(spare, NOW)) == why, "that is not forgotten"


def test_what_an_increment_starts_from(warehouse: Warehouse) -> None:
    """Every table that a model reads as it was before, by its name and not by ref, is of those that mark a build."""
    models = [node for node in warehouse.manifest["nodes"].values() if node["resource_type"] == "model"]
    how = {node["name"]: node["config"]["materialized"] for node in models}
    marking = set(origin_of_selected(None, how).mixed)
    assert {"fct_events", "int_sessions__events", *PREVIOUS} <= marking
    read = {name for node in models for name in STATE.findall(node["raw_code"]) if not name.startswith(GROWING)}
    assert read
    assert read <= marking
    start = Origin("project", {"ops_keys": 1}, as_of=NOW, tables={"silver_events": "id"})
    assert origin_of_selected(start, {"dim_profiles": "table"}) == start
    assert origin_of_selected(None, {}).project is None


def test_a_published_file_that_does_not_say_stays_no_start(warehouse: Warehouse, spare: Settings) -> None:
    with duckdb.connect(str(spare.warehouse_file)) as connection:
        connection.execute("alter table ops.build_info drop column mixed")
    assert why_whole(spare, reading_now(spare, NOW)) == "the published build does not say what made it"
