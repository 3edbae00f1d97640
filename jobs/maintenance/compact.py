"""Puts small files of a table together, by delta-rs, while the streams run.

A compaction changes no data and says so (`dataChange: false`), so that a stream that reads the table passes over it, and
the appends of the streams never conflict with it. Files are joined in the order in which they were written, and events
come in about the order of their days: the ranges of `event_date` in the statistics stay as narrow as they were, which is
what the search for repeats prunes by. So nothing is sorted, and a run costs what is new, not the whole table.

Two compactions at once would double rows: delta-rs 1.6.6 does not see that another one has just moved the same files (it
does see deletes and updates). Hence one owner, under `maintenance_lock`, and never Spark's OPTIMIZE beside it. Logs whose
order matters are written anew in their order, for a joined file keeps no order of rows.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.delta import again_on_conflict
from jobs.lake.oplog import ORDERED, ordered_rows

log = logging.getLogger(__name__)
MIB = 2**20
SPILL_BYTES = 256 * MIB
Partition = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Compacted:
    """What happened to one table: `before` small files became `after`."""

    table: str
    before: int = 0
    after: int = 0


def small_files(settings: Settings, table: DeltaTable) -> dict[Partition, int]:
    """Partition → its small files, where putting them together pays. The key is () for an unpartitioned table."""
    keys = table.metadata().partition_columns
    target = settings.compact_target_mib * MIB
    found: Counter[Partition] = Counter()
    for file in pa.table(table.get_add_actions(flatten=True)).to_pylist():
        if file["size_bytes"] < target:
            found[tuple((key, str(file[f"partition.{key}"])) for key in keys)] += 1
    return {partition: count for partition, count in sorted(found.items()) if count >= settings.compact_min_files}


def compact(settings: Settings, name: str) -> Compacted:
    """Joins what pays in one table, a commit per partition; safe beside the streams and the commands, and to repeat.

    The caller holds the maintenance lock. Raises RetryableError when other writers of the same files always came first.
    """
    path = str(lake_table(name).path(settings))
    if not DeltaTable.is_deltatable(path):
        return Compacted(name)
    if name in ORDERED:
        return again_on_conflict(name, partial(_write_anew, settings, name, path))
    before = after = 0
    for partition in small_files(settings, DeltaTable(path)):
        added, removed = again_on_conflict(name, partial(_join, settings, path, partition))
        before, after = before + removed, after + added
    return Compacted(name, before, after)


def _write_anew(settings: Settings, name: str, path: str) -> Compacted:
    """A log of some thousand rows as one file, oldest row first. An append in between makes the commit fail."""
    table = DeltaTable(path)
    before = sum(small_files(settings, table).values())
    if not before:
        return Compacted(name)
    rows = ordered_rows(table, lake_table(name).path(settings)).combine_chunks()  # chunks would be written in any order
    # With a predicate that reads all, an append in between is a conflict; without one it would lose its place.
    write_deltalake(table, rows, mode="overwrite", predicate="1 = 1")
    return Compacted(name, before, 1)


def _join(settings: Settings, path: str, partition: Partition) -> tuple[int, int]:
    """(files added, files removed); one partition at a time and one file at a time bound the memory."""
    metrics = DeltaTable(path).optimize.compact(
        partition_filters=[(key, "=", value) for key, value in partition] or None,
        target_size=settings.compact_target_mib * MIB,
        max_concurrent_tasks=1,
        max_spill_size=SPILL_BYTES,
    )
    return int(metrics["numFilesAdded"]), int(metrics["numFilesRemoved"])
