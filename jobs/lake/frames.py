"""Spark's way to the lake tables: by catalog name, checked against the contract, appends guarded by a transaction id."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import SchemaMismatchError, differences


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


def append_once(
    frame: DataFrame, settings: Settings, name: str, *, app_id: str | None, version: int, is_small: bool = False
) -> None:
    """Appends the frame unless the table has seen (app_id, version): the repeat is skipped. Without `app_id`, none is.

    `is_small`: the rows are few enough to go through memory, and are written by delta-rs, whose commit costs a tenth of
    Spark's. Table and transaction come out the same.
    """
    rows = select_contract(frame, name)
    if is_small:
        delta.append(settings, name, rows.toArrow(), app_id=app_id, app_version=version)
        return
    writer = rows.write.format("delta").mode("append")
    if app_id is not None:
        writer = writer.option("txnAppId", app_id).option("txnVersion", str(version))
    writer.save(str(lake_table(name).path(settings)))
