"""The conservation law: received = accepted + duplicate + quarantined + suppressed + in flight, per source and hour.

Counted message by message: each row of bronze is looked up in every table that it could have become, so that one lost and
one doubled never make a right sum. Exact while the streams run: what a micro-batch has begun to write and Spark has
not committed is in flight.
"""

import json
from collections import Counter
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.stream.silver import QUERY, checkpoint_id
from jobs.lake.delta import append
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema

OUTCOMES = ("accepted", "duplicate", "quarantined", "suppressed")
Hour = tuple[str, datetime]

# Rows of the checkpoint's batches that Spark has not committed do not count yet. A replay writes its rows before it marks
# the quarantined ones: what it has placed is no longer quarantined.
BALANCE_SQL = """
with placed as (
    select message_id, 'accepted' as outcome, ingest_batch from silver_events
    union all select message_id, 'accepted', ingest_batch from silver_records
    union all select message_id, outcome, ingest_batch from ops_dropped_messages
),
counted as (
    select message_id, outcome from placed where ingest_batch not like $checkpoint || ':%'
        or cast(split_part(ingest_batch, ':', 2) as bigint) <= $committed
    union all
    select message_id, 'quarantined' from quarantine_messages
    where replay_state <> 'replayed' and (ingest_batch not like $checkpoint || ':%'
        or cast(split_part(ingest_batch, ':', 2) as bigint) <= $committed)
        and message_id not in (select message_id from placed where ingest_batch like 'replay:%')
),
received as (
    select message_id, source, date_trunc('hour', received_at) as received_hour from bronze_messages
    where landed_date >= $since
),
judged as (
    select r.source, r.received_hour, r.message_id, count(c.outcome) as times, any_value(c.outcome) as outcome
    from received as r left join counted as c using (message_id) group by all
)
select source, received_hour, count(*) as received,
    count(*) filter (where outcome = 'accepted') as accepted, count(*) filter (where outcome = 'duplicate') as duplicate,
    count(*) filter (where outcome = 'quarantined') as quarantined,
    count(*) filter (where outcome = 'suppressed') as suppressed, count(*) filter (where times > 1) as doubled
from judged group by all order by source, received_hour
"""


def in_flight(settings: Settings) -> dict[str, int]:
    """Messages per source that bronze holds and the silver stream has not committed, read from its checkpoint."""
    found: Counter[str] = Counter()
    for (source, _), count in in_flight_by_hour(settings).items():
        found[source] += count
    return dict(found)


def in_flight_by_hour(settings: Settings) -> dict[Hour, int]:
    """The same per source and hour of receipt."""
    path = str(lake_table("bronze_messages").path(settings))
    done = committed(settings)[1]
    current = DeltaTable(path)
    if done is not None and done >= current.version():
        return {}
    waiting = _count(current)
    waiting.subtract(_count(DeltaTable(path, version=done)) if done is not None and done >= 0 else Counter())
    return {hour: count for hour, count in waiting.items() if count}


def _count(table: DeltaTable) -> Counter[Hour]:
    rows = table.to_pyarrow_dataset().to_table(columns=["source", "received_at"])
    hours = pc.floor_temporal(rows.column("received_at"), unit="hour")
    grouped = pa.table({"source": rows.column("source"), "hour": hours}).group_by(["source", "hour"])
    counts = grouped.aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["source"], row["hour"]): row["count_all"] for row in counts})


def committed(settings: Settings) -> tuple[int, int | None]:
    """(last batch that Spark has committed, last bronze version whose rows are all through it); (-1, None) before any."""
    folder = settings.checkpoints / QUERY
    done = [int(p.name) for p in (folder / "commits").glob("*") if p.name.isdigit()] if folder.exists() else []
    if not done:
        return -1, None
    offsets = (folder / "offsets" / str(max(done))).read_text(encoding="utf-8").splitlines()
    offset = json.loads(offsets[-1])
    # An offset names the version being read next; index -1 says that nothing of it has been read.
    return max(done), int(offset["reservoirVersion"]) - (1 if int(offset["index"]) < 0 else 0)


def hourly_balance(settings: Settings, since: date = date.min) -> list[dict[str, Any]]:
    """One row per source and hour of receipt since a UTC day; every term counted from its own table."""
    batch, _ = committed(settings)
    checkpoint = checkpoint_id(settings) if batch >= 0 else "none"
    waiting = in_flight_by_hour(settings)
    connection = lake_connection(settings)
    bound = {"checkpoint": checkpoint, "committed": batch, "since": since}
    rows: list[dict[str, Any]] = connection.execute(BALANCE_SQL, bound).to_arrow_table().to_pylist()
    for row in rows:
        row["in_flight"] = waiting.get((row["source"], row["received_hour"]), 0)
        _judge(row)
    return rows


def _judge(row: dict[str, Any]) -> None:
    found = sum(int(row[name]) for name in (*OUTCOMES, "in_flight"))
    row["is_balanced"] = row["received"] == found and row["doubled"] == 0


def by_source(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hours of each source added up."""
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        total = sums.setdefault(row["source"], dict.fromkeys(("received", *OUTCOMES, "in_flight", "doubled"), 0))
        for name in total:
            total[name] += row[name]
    found = [{"source": source} | total for source, total in sums.items()]
    for row in found:
        _judge(row)
    return found


def compute_balance(context: Context) -> list[dict[str, Any]]:
    """One row per source, in the shape of ops_balance."""
    rows = by_source(hourly_balance(context.settings))
    return [row | {"run_id": context.run_id, "recorded_at": context.clock.now()} for row in rows]


def record_balance(context: Context) -> list[dict[str, Any]]:
    """Computes the balance and keeps it in ops_balance."""
    rows = compute_balance(context)
    if rows:
        names = lake_table("ops_balance").contract.column_names
        cut = [{name: row[name] for name in names} for row in rows]
        schema = arrow_schema(lake_table("ops_balance").contract)
        append(context.settings, "ops_balance", pa.Table.from_pylist(cut, schema=schema))
    return rows
