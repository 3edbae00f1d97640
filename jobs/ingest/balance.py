"""The conservation law: received = accepted + duplicate + quarantined + suppressed + in flight, per source and hour.

Counted message by message: each row of bronze is looked up in every table that it could have become, so that one lost and
one doubled never make a right sum. Exact while the streams run: what a micro-batch has begun to write and Spark has
not committed is in flight. What retention has taken out of bronze since counts as it was counted then.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import deltalog
from jobs.lake.checkpoints import SILVER, Position, folder, last_commit, offset, position_of
from jobs.lake.delta import append, ensure_table
from jobs.lake.duck import lake_connection
from jobs.lake.placement import PLACED_CTES, PLACES, bounds
from jobs.lake.retired import last_batch, retired
from jobs.lake.schema import arrow_schema

if TYPE_CHECKING:
    from deltalake import DeltaTable

BRONZE = "bronze_messages"
OUTCOMES = ("accepted", "duplicate", "quarantined", "suppressed")
Hour = tuple[str, datetime]

BALANCE_SQL = f"""
with {PLACED_CTES},
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


@dataclass(frozen=True)
class Moment:
    """One state of a running stream, of which all terms are counted: bronze as it is, and what silver had committed when
    that was read. What comes after either is of the next moment."""

    bronze: "DeltaTable"
    bounds: dict[str, object]
    position: Position | None

    @classmethod
    def of(cls, settings: Settings) -> "Moment":
        """Silver first: what it has read is then in this bronze."""
        batch = last_commit(settings, SILVER)
        read_to = offset(folder(settings, SILVER) / "offsets" / str(batch)) if batch >= 0 else None
        position = position_of(read_to) if read_to else None
        return cls(ensure_table(settings, BRONZE), bounds(settings) | {"committed": batch}, position)

    def rows(self, settings: Settings, query: str, bound: dict[str, object]) -> list[dict[str, Any]]:
        """The query's rows, over the places of messages and bronze as it is at this moment."""
        with lake_connection(settings, PLACES) as connection:
            connection.register(BRONZE, self.bronze.to_pyarrow_dataset())
            found: list[dict[str, Any]] = connection.execute(query, bound).to_arrow_table().to_pylist()
        return found


def in_flight(settings: Settings) -> dict[str, int]:
    """Messages per source that bronze holds and the silver stream has not committed, read from its checkpoint."""
    found: Counter[str] = Counter()
    for (source, _), count in _waiting(settings, Moment.of(settings)).items():
        found[source] += count
    return dict(found)


def _waiting(settings: Settings, moment: Moment) -> dict[Hour, int]:
    """The same per source and hour of receipt."""
    if moment.position is None or moment.position.is_snapshot:
        return _unplaced(settings, moment)
    path = lake_table(BRONZE).path(settings)
    waiting: Counter[Hour] = Counter()
    for name in _unread(path, moment.position, moment.bronze.version()):
        waiting += _count(pq.read_table(path / name, columns=["source", "received_at"], partitioning=None))
    return dict(waiting)


def _unplaced(settings: Settings, moment: Moment) -> dict[Hour, int]:
    """While the stream goes through the table as it was at its start: what no committed batch has placed."""
    query = f"""
        with {PLACED_CTES}
        select source, date_trunc('hour', received_at) as hour, count(*) as waiting from bronze_messages
        where message_id not in (select message_id from counted) group by all
    """
    rows = moment.rows(settings, query, moment.bounds)
    return {(row["source"], row["hour"]): row["waiting"] for row in rows}


def _unread(path: Path, position: Position, last: int) -> list[str]:
    """The files of new data up to version `last` that the silver stream has not read, as their commits added them: what a
    compaction has put elsewhere since is not new, and vacuum keeps what is not read."""
    found: list[str] = []
    for commit in deltalog.commits(path, position.version):
        if commit.version > last:
            break
        # An offset names the version being read next; its index is the last file of it that has been read.
        found += commit.added[position.index + 1 if commit.version == position.version else 0 :]
    return found


def _count(rows: pa.Table) -> Counter[Hour]:
    hours = pc.floor_temporal(rows.column("received_at"), unit="hour")
    grouped = pa.table({"source": rows.column("source"), "hour": hours}).group_by(["source", "hour"])
    counts = grouped.aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["source"], row["hour"]): row["count_all"] for row in counts})


def hourly_balance(settings: Settings, since: date = date.min) -> list[dict[str, Any]]:
    """One row per source and hour of receipt since a UTC day; every term counted from its own table."""
    while True:  # what is there and what is gone must be of one moment: again when retention came in between
        before, moment = last_batch(settings), Moment.of(settings)
        rows = _with_retired(_counted(settings, moment, since), retired(settings, since))
        waiting = _waiting(settings, moment)
        if last_batch(settings) == before:
            break
    for row in rows:
        row["in_flight"] = waiting.get((row["source"], row["received_hour"]), 0)
        _judge(row)
    return rows


def _counted(settings: Settings, moment: Moment, since: date) -> list[dict[str, Any]]:
    return moment.rows(settings, BALANCE_SQL, moment.bounds | {"since": since})


def _with_retired(rows: list[dict[str, Any]], gone: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hours with what retention took out of them, and the hours of which nothing is left."""
    by_hour = {(row["source"], row["received_hour"]): row for row in rows}
    nothing = dict.fromkeys(("received", *OUTCOMES, "doubled"), 0)
    for found in gone:
        source, hour = found["source"], found["received_hour"]
        row = by_hour.setdefault((source, hour), {"source": source, "received_hour": hour} | nothing)
        row["received"] += found["messages"]
        row[found["outcome"]] += found["messages"]
    return sorted(by_hour.values(), key=lambda row: (row["source"], row["received_hour"]))


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
