"""Replaces a table whole, and only when it would hold something else."""

from collections.abc import Sequence

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import conform


def replace_if_changed(settings: Settings, name: str, table: pa.Table, *, order: Sequence[str] = ()) -> bool:
    """Swaps the table unless it holds exactly these rows already; whether it did. `table` is sorted by `order`, or else by the
    contract's key: unchanged input makes no new Delta version."""
    contract = lake_table(name).contract
    wanted = conform(table, contract)
    held = conform(delta.read(settings, name), contract)
    if held.sort_by([(column, "ascending") for column in order or contract.key]).equals(wanted):
        return False
    delta.replace(settings, name, wanted)
    return True
