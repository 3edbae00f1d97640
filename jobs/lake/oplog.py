"""Reads the `ops_*` logs in the order they were written: their `recorded_at` is the run's clock, which may stand still."""

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.delta import ensure_table


def in_commit_order(settings: Settings, name: str) -> list[dict[str, object]]:
    """All rows of an unpartitioned, append-only table as dicts, oldest commit first; for logs of some thousand rows."""
    table = ensure_table(settings, name)
    files = pa.table(table.get_add_actions(flatten=True)).select(["modification_time", "path"]).to_pylist()
    folder = lake_table(name).path(settings)
    rows: list[dict[str, object]] = []
    for file in sorted(files, key=lambda f: (f["modification_time"], f["path"])):
        rows += pq.read_table(folder / file["path"]).to_pylist()
    return rows
