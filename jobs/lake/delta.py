"""Reads and writes lake tables by catalog name through delta-rs, for data that fits one machine. Spark has `frames`.

Idempotence: an append may carry (app_id, version); delta-rs does not skip a repeated transaction by itself, so it is
checked here first, per table.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from expectations.contracts import TableContract
from jobs.core.catalog import TABLES, lake_table
from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.lake.schema import arrow_schema, conform

# No change data feed, deletion vectors or column mapping: Spark, DuckDB and delta-rs must read the same rows.
# Statistics on no columns of tables with raw PII, or the log would keep what a DELETE removes from the data.
PROPERTIES = {"delta.logRetentionDuration": "interval 7 days", "delta.checkpointInterval": "20"}
# For how long the log remembers a removed file: as long as vacuum keeps it, or it would not know it from a stray one.
FILES_KEPT = "delta.deletedFileRetentionDuration"
# The silver stream reads the log of bronze: only vacuum, which knows the stream's position, takes old commits away.
LOG_KEPT = {"bronze_messages": {"delta.enableExpiredLogCleanup": "false"}}
ATTEMPTS, CONFLICT_SECONDS = 6, 0.5
T = TypeVar("T")
NO_STATISTICS = {"delta.dataSkippingNumIndexedCols": "0"}


def properties(settings: Settings, name: str) -> dict[str, str]:
    """The Delta properties of a table; `c360 lake migrate` gives them to older ones."""
    kept = {FILES_KEPT: f"interval {settings.file_retention_hours} hours"}
    table = lake_table(name)
    statistics = NO_STATISTICS if table.raw_pii else _statistics(table.contract)
    return PROPERTIES | kept | LOG_KEPT.get(name, {}) | statistics


def ensure_table(settings: Settings, name: str) -> DeltaTable:
    """Opens the table, creating it empty from its contract when it does not exist."""
    declared = lake_table(name)
    path = declared.path(settings)
    if not DeltaTable.is_deltatable(str(path)):
        path.mkdir(parents=True, exist_ok=True)
        if declared.raw_pii:
            path.chmod(0o700)
        DeltaTable.create(
            str(path),
            schema=arrow_schema(declared.contract),
            mode="ignore",
            partition_by=list(declared.partition_by),
            configuration=properties(settings, name),
        )
    return DeltaTable(str(path))


def _statistics(contract: TableContract) -> dict[str, str]:
    """Dates, times and numbers prune files; the smallest and largest of a text prune nothing and cost the writer most."""
    pruning = [column.name for column in contract.columns if column.type in ("date", "timestamp", "long")]
    return {"delta.dataSkippingStatsColumns": ",".join(pruning)} if pruning else NO_STATISTICS


def writing(schema: pa.Schema) -> WriterProperties:
    """How files are written: as delta-rs does, but for the smallest and largest texts of each page, for which nobody looks."""
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    plain = ColumnProperties(statistics_enabled="NONE")
    return WriterProperties(compression="SNAPPY", column_properties=dict.fromkeys(texts, plain))


def ensure_all(settings: Settings) -> list[str]:
    """Creates every declared table that is missing; returns the names created. The first dbt build needs them all."""
    missing = [name for name in TABLES if not DeltaTable.is_deltatable(str(TABLES[name].path(settings)))]
    for name in missing:
        ensure_table(settings, name)
    return missing


def read(
    settings: Settings, name: str, columns: list[str] | None = None, *, where: Mapping[str, str] | None = None
) -> pa.Table:
    """The whole table (or the named columns, or the rows that have these values) as Arrow; for small tables. Big ones are read
    through DuckDB or Spark."""
    filters = [(column, "=", value) for column, value in where.items()] if where else None
    return ensure_table(settings, name).to_pyarrow_table(columns=columns, filters=filters)


def version(settings: Settings, name: str) -> int:
    """The current Delta version, as recorded in `ops_runs` to pin what a run has read."""
    return int(ensure_table(settings, name).version())


def is_kept(settings: Settings, name: str, version: int) -> bool:
    """Whether a version can still be read: the log knows it, and maintenance has removed none of its files."""
    try:
        return all(path.exists() for path in files(settings, name, version))
    except (DeltaError, TableNotFoundError):
        return False


def files(settings: Settings, name: str, version: int) -> list[Path]:
    """The data files of a version; raises DeltaError when the log no longer knows it."""
    uris = DeltaTable(str(lake_table(name).path(settings)), version=version).file_uris()
    return [Path(unquote(urlparse(uri).path)) for uri in uris]


def identity(settings: Settings, name: str) -> str:
    """The id that the table got when it was made: another one means that it was made anew under the same name."""
    return str(ensure_table(settings, name).metadata().id)


def append(settings: Settings, name: str, table: pa.Table, *, app_id: str | None = None, app_version: int = 0) -> bool:
    """Appends rows; with `app_id`, only if (app_id, app_version) is not in the table yet. Returns whether it wrote.

    Raises SchemaMismatchError, or RetryableError when another writer won and ours is not in.
    """
    target = ensure_table(settings, name)
    data = conform(table, lake_table(name).contract)
    if app_id is None:
        write_deltalake(target, data, mode="append", writer_properties=writing(data.schema))
        return True
    seen = target.transaction_version(app_id)
    if seen is not None and seen >= app_version:
        return False
    properties = CommitProperties(app_transactions=[Transaction(app_id, app_version)])
    try:
        write_deltalake(
            target, data, mode="append", commit_properties=properties, writer_properties=writing(data.schema)
        )
    except CommitFailedError as error:
        seen = ensure_table(settings, name).transaction_version(app_id)
        if seen is None or seen < app_version:
            raise RetryableError(f"{name}: another writer committed first; run the command again") from error
    return True


def replace(settings: Settings, name: str, table: pa.Table, *, predicate: str | None = None) -> None:
    """Swaps the whole table (or the rows matching `predicate`, e.g. one ML model) in one commit."""
    target = ensure_table(settings, name)
    data = conform(table, lake_table(name).contract)
    write_deltalake(target, data, mode="overwrite", predicate=predicate, writer_properties=writing(data.schema))


def update(settings: Settings, name: str, changes: pa.Table, *, key: str) -> int:
    """Sets the columns of `changes` in the rows that share its `key`, in one commit; returns how many rows it changed.

    Safe to repeat. Raises RetryableError when another writer won.
    """
    columns = {column: f"new.{column}" for column in changes.column_names if column != key}
    merge = ensure_table(settings, name).merge(
        changes, predicate=f"old.{key} = new.{key}", source_alias="new", target_alias="old"
    )
    try:
        return int(merge.when_matched_update(columns).execute()["num_target_rows_updated"])
    except CommitFailedError as error:
        raise RetryableError(f"{name}: another writer committed first; run the command again") from error


def last_transaction(settings: Settings, name: str, app_id: str) -> int:
    """The newest version that `append` has written under `app_id`; 0 before the first."""
    return int(ensure_table(settings, name).transaction_version(app_id) or 0)


def row_count(settings: Settings, name: str, *, present: str | None = None) -> int:
    """Rows of the table as the Delta log counts them, reading no data file; with `present` those in which that column is
    not NULL, reading that column."""
    dataset = ensure_table(settings, name).to_pyarrow_dataset()
    return int(dataset.count_rows() if present is None else dataset.count_rows(filter=pc.field(present).is_valid()))


def again_on_conflict(name: str, work: Callable[[], T]) -> T:
    """Does `work`, which opens the table afresh each time, until no other writer comes between; a few times at most.

    Raises RetryableError when one always does.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return work()
        except CommitFailedError as error:
            if attempt == ATTEMPTS:
                raise RetryableError(f"{name}: other writers always came first; run the command again") from error
            time.sleep(attempt * CONFLICT_SECONDS)
    raise AssertionError("unreachable")
