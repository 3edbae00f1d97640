"""Runs the SQL that dbt has compiled, without dbt: hundreds of small histories in the time of a few builds.

What stands in for dbt is stated here: a model is a table made of its SQL; one that is incremental first loses the rows that
its pre-hook names, or that have the key of a new one (`delete+insert`), and then gets those of its SQL. What stands in for
`jobs.warehouse.arrivals`: rows that are there and were not have come. `test_incremental.py` holds this together with dbt's own
builds, `test_arrivals.py` that with the files of Delta tables.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import duckdb
import jinja2
import pyarrow as pa
from lakekit import NOW

from jobs.core.catalog import TABLES, lake_table
from jobs.core.settings import PROJECT_ROOT
from jobs.lake.schema import arrow_schema
from jobs.warehouse.arrivals import GROWING
from jobs.warehouse.content import Content, content_hash

Manifest = dict[str, Any]
SCAN = re.compile(r"delta_scan\('[^']*/lake/([^']+)', version => \d+\)")
NAMES = {table.folder: name for name, table in TABLES.items()}
JUDGED = (
    "marts.fct_events",
    "marts.fct_sessions",
    "marts.fct_orders",
    "marts.fct_order_lines",
    "marts.fct_refunds",
    "marts.fct_messages",
    "marts.fct_trait_changes",
    "marts.kpi_daily",
    "marts.kpi_daily_sales",
    "marts.fct_campaign_touches",
    "marts.dim_products",
    "intermediate.int_sessions__events",
    "intermediate.int_identity__sightings",
    "intermediate.int_identity__profiles",
    "intermediate.int_profiles__web_activity",
    "intermediate.int_segments__events",
    "intermediate.int_segments__measured",
    "intermediate.int_segments__measured_utc",
)


def ancestors(manifest: Manifest, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """The models that these are made of and themselves, each behind what it reads; ephemeral ones are in their readers' SQL."""
    nodes, found = manifest["nodes"], {}

    def visit(key: str) -> None:
        if key in nodes and key not in found and nodes[key]["resource_type"] == "model":
            for parent in nodes[key]["depends_on"]["nodes"]:
                visit(parent)
            found[key] = nodes[key]

    for name in names:
        visit(f"model.c360.{name}")
    return [node for node in found.values() if node["config"]["materialized"] != "ephemeral"]


def said(at: datetime) -> str:
    """A moment as the variable as_of has it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.%f")


@cache
def forgetting(hook: str, target: str) -> str:
    """The SQL of a pre-hook at NOW, as the project's own macros write it for a build from the published file."""
    folder = PROJECT_ROOT / "dbt_project" / "macros"
    macros = "".join((folder / name).read_text(encoding="utf-8") for name in ("time.sql", "increment.sql"))
    given = {"is_incremental": lambda: True, "ref": lambda name: f"intermediate.{name}"}
    variables = {"increment": True, "as_of": said(NOW)}
    environment = jinja2.Environment()
    sql = environment.from_string(macros + hook).render(this=target, var=variables.get, **given).strip()
    assert sql.startswith(("delete from", "update")), hook
    return sql


@dataclass
class Rig:
    """A database in memory, built by `whole` and then by `part`, as often as one likes."""

    whole_sql: list[dict[str, Any]]
    part_sql: list[dict[str, Any]]
    connection: duckdb.DuckDBPyConnection = field(default_factory=lambda: duckdb.connect(config={"threads": 1}))
    at: datetime = NOW

    def __post_init__(self) -> None:
        self.connection.execute(
            "set TimeZone = 'UTC'; attach ':memory:' as c360_build; use c360_build; create schema lake"
        )
        for schema in ("staging", "intermediate", "marts", "previous"):
            self.connection.execute(f"create schema {schema}")

    def fill(self, rows: dict[str, list[dict[str, Any]]], at: datetime = NOW) -> None:
        """The lake at that moment; tables without rows are empty. What has come and gone since the one before is put aside."""
        since, self.at = self.at, at
        for name in TABLES:
            schema = arrow_schema(lake_table(name).contract)
            self.connection.register("handed", pa.Table.from_pylist(rows.get(name, []), schema=schema))
            if name in GROWING:
                self._put_arrivals_aside(name, since)
            self.connection.execute(f"create or replace table lake.{name} as from handed")
            self.connection.unregister("handed")

    def _put_arrivals_aside(self, name: str, since: datetime) -> None:
        """What is received after the moment of a build is not known to it, and does not count."""
        self.connection.execute(f"create table if not exists lake.{name} as from handed limit 0")
        now, before = (
            f"(select * from {table} where received_at <= timestamptz '{moment.isoformat()}')"
            for table, moment in (("handed", self.at), (f"lake.{name}", since))
        )
        self.connection.execute(f"create or replace table previous.{name}_came as {now} except all {before}")
        self.connection.execute(f"create or replace table previous.{name}_gone as {before} except all {now}")

    def whole(self) -> None:
        """As the first build."""
        for node in self.whole_sql:
            self._make(node)

    def part(self) -> None:
        """As a build from the published file."""
        self.connection.execute(
            "create or replace table previous.int_identity__identifiers as from intermediate.int_identity__identifiers"
        )
        for node in self.part_sql:
            if node["config"]["materialized"] != "incremental":
                self._make(node)
                continue
            target = f"{node['schema']}.{node['name']}"
            for hook in node["config"]["pre-hook"]:
                self.connection.execute(self._now(forgetting(hook["sql"], target)))
            self.connection.execute(f"create or replace temp table appended as {self._sql(node)}")
            if node["config"]["incremental_strategy"] == "delete+insert":
                key = ", ".join(node["config"]["unique_key"])
                self.connection.execute(f"delete from {target} where ({key}) in (select {key} from appended)")
            self.connection.execute(f"insert into {target} by name from appended")

    def contents(self) -> dict[str, Content]:
        return {name: content_hash(self.connection, name) for name in JUDGED}

    def _make(self, node: dict[str, Any]) -> None:
        self.connection.execute(f"create or replace table {node['schema']}.{node['name']} as {self._sql(node)}")

    def _sql(self, node: dict[str, Any]) -> str:
        return SCAN.sub(lambda found: f"lake.{NAMES[found[1]]}", self._now(node["compiled_code"]))

    def _now(self, sql: str) -> str:
        """Compiled for NOW, and run at another moment."""
        return sql.replace(said(NOW), said(self.at))
