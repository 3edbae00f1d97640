"""`c360 warehouse …` as a person types it."""

import json

from click.testing import CliRunner, Result
from warehousekit import Warehouse

from jobs.cli import cli
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse.commands import group


def invoke(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments), obj=Context.from_settings(settings))


def test_query_as_table_csv_and_json(warehouse: Warehouse) -> None:
    query = "select order_id, line_count from marts.fct_orders order by order_id limit 1"
    assert (
        invoke(warehouse.settings, "sql", query).output
        == "order_id  line_count\n--------  ----------\nB1                 2\n"
    )
    assert invoke(warehouse.settings, "sql", "--csv", query).output == "order_id,line_count\nB1,2\n"
    assert json.loads(invoke(warehouse.settings, "sql", "--json", query).output) == {"order_id": "B1", "line_count": 2}


def test_publish_says_what_is_published_and_is_recorded(warehouse: Warehouse, spare: Settings) -> None:
    done = invoke(spare, "publish")
    assert done.exit_code == 0
    assert warehouse.build_id in done.output
    stages = {row["stage"]: row for row in delta.read(spare, "ops_runs").to_pylist()}
    assert json.loads(stages["warehouse.publish"]["details"])["build_id"] == warehouse.build_id


def test_tables_lists_marts_with_their_rows(warehouse: Warehouse) -> None:
    lines = invoke(warehouse.settings, "tables").output.splitlines()
    assert [line.split() for line in lines if line.startswith("marts.fct_orders")] == [["marts.fct_orders", "7", "17"]]


def test_help_names_the_next_step_and_a_typo_gets_a_hint() -> None:
    assert "c360 quality gate marts" in CliRunner().invoke(group, ["--help"]).output
    mistyped = CliRunner().invoke(cli, ["warehouse", "publsh"])
    assert mistyped.exit_code == 2
    assert "Did you mean 'publish'?" in mistyped.output
