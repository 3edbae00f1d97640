"""The verdicts of `dedupe` for the few rows that the index of known events names, in memory; equal to Spark's in result."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from jobs.core.settings import Settings
from jobs.ingest.stream.dedupe import CONFLICT, DUPLICATE
from jobs.lake.delta import ensure_table

HELD = ["message_id", "source", "event_id", "body_hash"]
SCHEMA = pa.schema({"message_id": pa.string(), "verdict": pa.string()})
NONE = SCHEMA.empty_table()
Key = tuple[str, str]


def local_verdicts(candidates: pa.Table, held: pa.Table) -> pa.Table:
    """(message_id, verdict) as `dedupe.verdicts` gives them, of the same columns as tables."""
    rows = sorted(candidates.to_pylist(), key=lambda row: row["receive_position"])
    first: dict[Key, str] = {}
    known: dict[Key, dict[str, str]] = defaultdict(dict)
    for row in held.to_pylist():
        known[row["source"], row["event_id"]][row["message_id"]] = row["body_hash"]
    found, seen = [], set()
    for row in rows:
        if row["message_id"] in seen:
            continue  # the candidate itself once more; it is not its own repeat
        seen.add(row["message_id"])
        key = (row["source"], row["event_id"])
        # The candidate itself may be among the held ones, written before a crash.
        others = [body for message_id, body in known[key].items() if message_id != row["message_id"]]
        before = min(others, default=first.get(key))
        if before is not None:
            verdict = DUPLICATE if before == row["body_hash"] else CONFLICT
            found.append({"message_id": row["message_id"], "verdict": verdict})
        if not row["is_suppressed"]:
            first.setdefault(key, row["body_hash"])
    return pa.Table.from_pylist(found, schema=SCHEMA)


def held_events(settings: Settings, days: Iterable[date], candidates: pa.Table) -> pa.Table:
    """The columns HELD of silver's events of these days that share an event_id with a candidate; other files stay closed."""
    is_meant = pc.field("event_date").isin(sorted(days)) & pc.field("event_id").isin(
        candidates.column("event_id").unique()
    )
    silver = ensure_table(settings, "silver_events").to_pyarrow_dataset()
    # Few files at a time: with Arrow's own readahead memory grows with the table.
    return silver.to_table(columns=HELD, filter=is_meant, fragment_readahead=1, batch_readahead=4)


def held_records(settings: Settings, candidates: pa.Table) -> pa.Table:
    """The same of silver's records: a version is its content, so that the two can only be equal."""
    is_meant = pc.field("record_id").isin(candidates.column("event_id").unique())
    silver = ensure_table(settings, "silver_records").to_pyarrow_dataset()
    columns = ["message_id", "source", "record_id"]
    found = silver.to_table(columns=columns, filter=is_meant, fragment_readahead=1, batch_readahead=4)
    return found.rename_columns(HELD[:3]).append_column("body_hash", pa.repeat("", found.num_rows))
