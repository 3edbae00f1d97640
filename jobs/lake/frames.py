"""Spark's way to the lake tables: by catalog name, checked against the contract, appends guarded by a transaction id."""

from typing import TypeAlias

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import SchemaMismatchError, conform, differences

Rows: TypeAlias = DataFrame | pa.Table


def read_frame(session: SparkSession, settings: Settings, name: str) -> DataFrame:
    """The table as it is now."""
    return session.read.format("delta").load(str(lake_table(name).path(settings)))


def select_contract(frame: DataFrame, name: str) -> DataFrame:
    """The contract's columns in order, cast to its types; raises SchemaMismatchError naming every missing column."""
    contract = lake_table(name).contract
    missing = [column for column in contract.column_names if column not in frame.columns]
    if missing:
        expected = {c.name: c.type for c in contract.columns}
        found = {c: expected.get(c, "?") for c in frame.columns if c in expected}
        raise SchemaMismatchError(f"{name}: {'; '.join(differences(contract, found, expected))}")
    columns: list[Column] = [F.col(c.name).cast(c.type).alias(c.name) for c in contract.columns]
    return frame.select(*columns)


def to_arrow(rows: Rows, name: str) -> pa.Table:
    """The rows in this process, with the contract's columns and types."""
    found = rows if isinstance(rows, pa.Table) else select_contract(rows, name).toArrow()
    return conform(found, lake_table(name).contract)


def append_once(rows: Rows, settings: Settings, name: str, *, app_id: str | None, version: int) -> None:
    """Appends the rows unless the table has seen (app_id, version): the repeat is skipped. Without `app_id`, none is.

    Rows in memory are written by delta-rs, whose commit costs a tenth of Spark's. Table and transaction come out the same.
    """
    if isinstance(rows, pa.Table):
        delta.append(settings, name, rows, app_id=app_id, app_version=version)
        return
    writer = select_contract(rows, name).write.format("delta").mode("append")
    if app_id is not None:
        writer = writer.option("txnAppId", app_id).option("txnVersion", str(version))
    writer.save(str(lake_table(name).path(settings)))
