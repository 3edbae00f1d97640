"""Reads the `ops_*` logs in the order they were written: their `recorded_at` is the run's clock, which may stand still."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.delta import ensure_table

# Whose order of rows says something; a compaction must keep it.
ORDERED = ("ops_runs", "ops_balance", "ops_landing_manifest", "ops_model_metrics")


def in_commit_order(settings: Settings, name: str) -> list[dict[str, object]]:
    """All rows of an unpartitioned, append-only table as dicts, oldest commit first; for logs of some thousand rows."""
    rows: list[dict[str, object]] = ordered_rows(
        ensure_table(settings, name), lake_table(name).path(settings)
    ).to_pylist()
    return rows


def ordered_rows(table: DeltaTable, folder: Path) -> pa.Table:
    """The same, of one version of a table that lies in `folder`."""
    files = pa.table(table.get_add_actions(flatten=True)).select(["modification_time", "path"]).to_pylist()
    oldest_first = sorted(files, key=lambda f: (f["modification_time"], f["path"]))
    schema = table.to_pyarrow_dataset().schema
    return pa.concat_tables(
        [schema.empty_table(), *(_as(pq.read_table(folder / file["path"]), schema) for file in oldest_first)]
    )


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in a later shape of the table: a column that they were written without is NULL."""
    columns = [
        rows.column(f.name).cast(f.type) if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
