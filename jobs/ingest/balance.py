"""The conservation law: received = accepted + duplicate + quarantined + suppressed + in flight, per source.

Every term is counted from its own table; none is the remainder of the others.
"""

import json

import pyarrow as pa
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.stream.silver import QUERY
from jobs.lake.delta import append
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema

BALANCE_SQL = """
with counts as (
    select source, count(*) as received, 0 as accepted, 0 as duplicate, 0 as quarantined, 0 as suppressed
    from bronze_messages group by all
    union all select source, 0, count(*), 0, 0, 0 from silver_events group by all
    union all select source, 0, count(*), 0, 0, 0 from silver_records group by all
    union all select source, 0, 0, count(*), 0, 0 from ops_dropped_messages where outcome = 'duplicate' group by all
    union all select source, 0, 0, 0, count(*), 0 from quarantine_messages where replay_state = 'pending' group by all
    union all select source, 0, 0, 0, 0, count(*) from ops_dropped_messages where outcome = 'suppressed' group by all
)
select source, sum(received)::bigint as received, sum(accepted)::bigint as accepted, sum(duplicate)::bigint as duplicate,
    sum(quarantined)::bigint as quarantined, sum(suppressed)::bigint as suppressed
from counts group by source order by source
"""


def in_flight(settings: Settings) -> dict[str, int]:
    """Messages per source that bronze holds and the silver stream has not committed, read from its checkpoint."""
    path = str(lake_table("bronze_messages").path(settings))
    current = DeltaTable(path)
    done = _committed_version(settings)
    if done is not None and done >= current.version():
        return {}
    now = _count_by_source(current)
    before = _count_by_source(DeltaTable(path, version=done)) if done is not None and done >= 0 else {}
    return {source: count - before.get(source, 0) for source, count in now.items() if count != before.get(source, 0)}


def _count_by_source(table: DeltaTable) -> dict[str, int]:
    values = table.to_pyarrow_dataset().to_table(columns=["source"]).column("source").value_counts().to_pylist()
    return {row["values"]: row["counts"] for row in values}


def _committed_version(settings: Settings) -> int | None:
    """Last bronze version whose rows are all through the silver stream; None before its first batch."""
    folder = settings.checkpoints / QUERY
    committed = [int(p.name) for p in (folder / "commits").glob("*") if p.name.isdigit()] if folder.exists() else []
    if not committed:
        return None
    offsets = (folder / "offsets" / str(max(committed))).read_text(encoding="utf-8").splitlines()
    offset = json.loads(offsets[-1])
    # An offset names the version being read next; index -1 says that nothing of it has been read.
    return int(offset["reservoirVersion"]) - (1 if int(offset["index"]) < 0 else 0)


def compute_balance(context: Context) -> list[dict[str, object]]:
    """One row per source, in the shape of ops_balance."""
    connection = lake_connection(context.settings)
    rows: list[dict[str, object]] = connection.execute(BALANCE_SQL).to_arrow_table().to_pylist()
    waiting = in_flight(context.settings)
    for row in rows:
        row["in_flight"] = waiting.get(str(row["source"]), 0)
        parts = ("accepted", "duplicate", "quarantined", "suppressed", "in_flight")
        row["is_balanced"] = row["received"] == sum(int(str(row[part])) for part in parts)
        row |= {"run_id": context.run_id, "recorded_at": context.clock.now()}
    return rows


def record_balance(context: Context) -> list[dict[str, object]]:
    """Computes the balance and keeps it in ops_balance."""
    rows = compute_balance(context)
    if rows:
        append(
            context.settings,
            "ops_balance",
            pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("ops_balance").contract)),
        )
    return rows
