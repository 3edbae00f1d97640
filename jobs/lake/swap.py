"""Replaces a table whole, and only when it would hold something else."""

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import conform


def replace_if_changed(settings: Settings, name: str, table: pa.Table) -> bool:
    """Swaps the table unless it holds exactly these rows already; whether it did. `table` is sorted by the contract's key:
    unchanged input makes no new Delta version."""
    contract = lake_table(name).contract
    wanted = conform(table, contract)
    order = [(column, "ascending") for column in contract.key]
    if conform(delta.read(settings, name), contract).sort_by(order).equals(wanted):
        return False
    delta.replace(settings, name, wanted)
    return True
