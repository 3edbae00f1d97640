"""Runs the SQL that dbt has compiled, without dbt: hundreds of small histories in the time of a few builds.

What stands in for dbt is stated here: a model is a table made of its SQL; one that is incremental first loses the rows that
its pre-hook names and then gets those of its SQL. `test_incremental.py` holds this together with dbt's own builds.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from jobs.core.catalog import TABLES, lake_table
from jobs.lake.schema import arrow_schema
from jobs.warehouse.content import Content, content_hash

Manifest = dict[str, Any]
SCAN = re.compile(r"delta_scan\('[^']*/lake/([^']+)', version => \d+\)")
HOOK = re.compile(r"(forget\w*)\('(\w+)', ref\('(\w+)'\)\)")
NAMES = {table.folder: name for name, table in TABLES.items()}
JUDGED = ("marts.fct_events", "marts.fct_sessions", "intermediate.int_sessions__events")


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


@dataclass
class Rig:
    """A database in memory, built by `whole` and then by `part`, as often as one likes."""

    whole_sql: list[dict[str, Any]]
    part_sql: list[dict[str, Any]]
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)

    def __post_init__(self) -> None:
        self.connection.execute(
            "set TimeZone = 'UTC'; attach ':memory:' as c360_build; use c360_build; create schema lake"
        )
        for schema in ("staging", "intermediate", "marts", "previous"):
            self.connection.execute(f"create schema {schema}")

    def fill(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        """The lake of this moment; tables without rows are empty."""
        for name in TABLES:
            schema = arrow_schema(lake_table(name).contract)
            self.connection.register("handed", pa.Table.from_pylist(rows.get(name, []), schema=schema))
            self.connection.execute(f"create or replace table lake.{name} as from handed")
            self.connection.unregister("handed")

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
            how, key, changes = HOOK.findall(node["config"]["pre-hook"][0]["sql"])[0]
            target = f"{node['schema']}.{node['name']}"
            which = "change = 'gone'" if how == "forget_gone" else "true"
            named = f"select {key} from intermediate.{changes} where {which}"
            self.connection.execute(f"delete from {target} where {key} in ({named})")
            self.connection.execute(f"insert into {target} by name {self._sql(node)}")

    def contents(self) -> dict[str, Content]:
        return {name: content_hash(self.connection, name) for name in JUDGED}

    def _make(self, node: dict[str, Any]) -> None:
        self.connection.execute(f"create or replace table {node['schema']}.{node['name']} as {self._sql(node)}")

    def _sql(self, node: dict[str, Any]) -> str:
        return SCAN.sub(lambda found: f"lake.{NAMES[found[1]]}", node["compiled_code"])
