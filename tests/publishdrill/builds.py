"""Private builds without dbt, for tests of what comes after the build: every public mart, a few rows, the real stamp."""

from pathlib import Path

import duckdb
import pyarrow as pa

from expectations import contracts
from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.warehouse.build import BUILD_INFO
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file
from jobs.warehouse.stamp import stamp


def make_build(settings: Settings, build_id: str, number: int = 0, *, rows: int = 50, epoch: int | None = None) -> Path:
    """A build whose tables hold `number` in every row, in the place of the private one; its epoch is the next one taken."""
    if epoch is None:
        with writer_lock(settings) as fence:
            epoch = fence.epoch
    file = build_file(settings)
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as connection:
        connection.execute("create schema marts; create schema ops")
        for name in contracts.marts():
            connection.execute(
                f"create table marts.{name} as select {number} as build_number, i, md5(i::varchar) as filler "
                f"from range({rows}) as r(i)"
            )
        connection.execute(f"create table ops.build_info ({BUILD_INFO})")
        connection.execute(
            "insert into ops.build_info (build_id, built_at, lake_versions, run_id, epoch) "
            "values (?, timestamp '2018-01-02', '{}', 'test', ?)",
            [build_id, epoch],
        )
        stamp(connection, build_id)
    return file


def pass_gate(settings: Settings, *build_ids: str) -> None:
    """The verdict "passed" of the gate `marts` on these builds."""
    rows = [
        {
            "run_id": "gate",
            "gate": "marts",
            "table_name": mart,
            "expectation": "row_count",
            "severity": "critical",
            "is_success": True,
            "table_version": build_id,
            "recorded_at": settings.now,
        }
        for build_id in build_ids
        for mart in contracts.marts()
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("ops_quality_results").contract))
    delta.append(settings, "ops_quality_results", table)
