"""What the tests of the dbt lane share besides fixtures: building, the verdict of the gate, content hashes."""

import json
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from expectations import contracts
from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.runs import stage
from jobs.lake.schema import arrow_schema
from jobs.warehouse.build import build
from jobs.warehouse.content import Content, content_hash
from jobs.warehouse.paths import dbt_folder
from jobs.warehouse.reader import open_build, open_published


def record_gate(settings: Settings, build_id: str, *, failing: str | None = None, leave_out: str | None = None) -> None:
    """The verdict of the gate `marts` on a build, as `c360 quality gate marts` would record it; `failing` names a mart."""
    rows = [
        {
            "run_id": f"gate-{build_id}",
            "gate": "marts",
            "table_name": name,
            "expectation": "row_count",
            "severity": "critical",
            "is_success": name != failing,
            "table_version": build_id,
            "recorded_at": settings.now,
        }
        for name in contracts.marts()
        if name != leave_out
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("ops_quality_results").contract))
    delta.append(settings, "ops_quality_results", table)


def hashes(connection: duckdb.DuckDBPyConnection) -> dict[str, Content]:
    """Content of every public mart, segment and activation table."""
    found = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables where schema_name in ('marts', 'segments', 'activation')"
    ).fetchall()
    return {name: content_hash(connection, name) for (name,) in sorted(found)}


@dataclass
class Warehouse:
    """A home whose warehouse was built, and what the build said."""

    settings: Settings
    build_id: str
    contents: dict[str, Content]
    manifest: dict[str, Any]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the published warehouse."""
        connection = open_published(self.settings)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


def built_with_manifest(settings: Settings, *, incremental: bool = False) -> tuple[str, dict[str, Any]]:
    """One build, and what dbt has parsed and compiled for it, which it usually keeps to itself; the build id first."""
    with pytest.MonkeyPatch.context() as process:
        process.setenv("DBT_WRITE_JSON", "true")
        build_id = built(settings, incremental=incremental)
    return build_id, json.loads((dbt_folder(settings) / "target" / "manifest.json").read_text(encoding="utf-8"))


def built(settings: Settings, *, select: str | None = None, incremental: bool = False) -> str:
    """One build, recorded as the command records it; returns its id."""
    context = Context.from_settings(settings)
    with stage(context, "warehouse.build") as current:
        return build(context, current, select=select, incremental=incremental)


def build_contents(settings: Settings) -> dict[str, Content]:
    """Contents of the private build."""
    connection = open_build(settings)
    try:
        return hashes(connection)
    finally:
        connection.close()
