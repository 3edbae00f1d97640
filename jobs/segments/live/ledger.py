"""`segment_changes`: what the stream has told, appended once under transaction ids, and where it stood by what it told.

Micro-batches are numbered by Spark, ticks by us: each kind has its own transaction id, in one table, so that one commit says
both what has changed and up to where it was looked.
"""

from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import checkpoints, delta
from jobs.lake.schema import conform
from jobs.segments.live.core import Last

STREAM, TABLE = "segments", "segment_changes"
TICKS = f"{STREAM}:ticks:{TABLE}"
LATEST = (
    "(select *, row_number() over (partition by segment, profile_id order by known_at desc, evaluated_at desc) as place"
    " from segment_changes)"
)


def checkpoint_id(settings: Settings) -> str:
    """The id of the stream's checkpoint, which stands once its query has been started."""
    return checkpoints.checkpoint_id(settings, STREAM)


def batch_app(checkpoint: str) -> str:
    """The transaction id of micro-batches."""
    return f"{STREAM}:{checkpoint}:{TABLE}"


def told_batch(settings: Settings, checkpoint: str) -> int:
    """The newest micro-batch that has told changes; -1 before any."""
    found = delta.ensure_table(settings, TABLE).transaction_version(batch_app(checkpoint))
    return -1 if found is None else int(found)


def append_batch(settings: Settings, changes: pa.Table, *, checkpoint: str, batch_id: int) -> None:
    """Appends what a micro-batch has changed; a repeat writes nothing. Without changes nothing is written."""
    if changes.num_rows:
        delta.append(settings, TABLE, contracted(changes), app_id=batch_app(checkpoint), app_version=batch_id)


def append_tick(settings: Settings, changes: pa.Table) -> None:
    """Appends what time, a build or an identity run has changed. State is read from here at a start: none comes twice."""
    if changes.num_rows:
        version = delta.last_transaction(settings, TABLE, TICKS) + 1
        delta.append(settings, TABLE, contracted(changes), app_id=TICKS, app_version=version)


def contracted(changes: pa.Table) -> pa.Table:
    """The changes of an evaluator with the table's types."""
    return conform(changes, lake_table(TABLE).contract)


def last(connection: Any) -> Last | None:
    """Where the stream stood by the table, a view of the connection; None before it has told anything."""
    moment = connection.execute("select max(known_at) from segment_changes").fetchone()[0]
    if moment is None:
        return None
    members = connection.execute(f"select segment, profile_id, is_simulated from {LATEST} where place = 1 and is_entry")
    table = members.to_arrow_table()
    versions = connection.execute(
        "select segment, arg_max(definition_version, known_at) from segment_changes group by all"
    )
    return Last(moment, table, dict(versions.fetchall()))
