"""What the tables themselves say of a stream, whatever its checkpoint says."""

import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.checkpoints import BRONZE, SILVER_TABLES
from jobs.lake.delta import row_count
from jobs.lake.placement import PLACES
from jobs.lake.retired import retired_count


def holds_data(settings: Settings, stream: str) -> bool:
    """Whether the stream has ever brought anything into its tables. For bronze only what came by sealed files counts:
    other streams write there too, under checkpoints of their own."""
    if stream != BRONZE:
        return any(_rows(settings, name) for name in PLACES)
    bronze = table(settings, "bronze_messages")
    if bronze is None:
        return False
    for batch in bronze.to_pyarrow_dataset().to_batches(columns=["origin"]):
        if pc.any(pc.starts_with(batch.column("origin"), "file:")).as_py():
            return True
    return retired_count(settings, from_files=True) > 0


def _rows(settings: Settings, name: str) -> int:
    return row_count(settings, name) if table(settings, name) else 0


def table(settings: Settings, name: str) -> DeltaTable | None:
    """The table, if it exists."""
    path = str(lake_table(name).path(settings))
    return DeltaTable(path) if DeltaTable.is_deltatable(path) else None


def written(settings: Settings, stream: str, checkpoint: str) -> dict[str, int]:
    """Table → the last batch of this checkpoint that it holds, -1 for none: Delta's own record of transactions."""
    names = {"bronze_messages": checkpoint} if stream == BRONZE else {}
    names = names or {name: f"silver:{checkpoint}:{name}" for name in SILVER_TABLES}
    found: dict[str, int] = {}
    for name, app_id in names.items():
        held = table(settings, name)
        version = held.transaction_version(app_id) if held else None
        found[name] = -1 if version is None else int(version)
    return found
