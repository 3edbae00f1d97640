"""What stands in the tables, as rows for the checker; read with DuckDB, table by table, in batches."""

import json
import re
from collections.abc import Iterator
from typing import Any

from chaos.checker import Found, Place
from chaos.messages import SOURCE, imprint, text_hash
from jobs.core.settings import Settings
from jobs.lake.duck import lake_connection

BATCH_ROWS = 50_000
SEQ = re.compile(r'"seq": (\d+)')
SILVER = f"""
    select message_id, event_id, name, anonymous_id, epoch_us(occurred_at) as occurred_us, properties
    from silver_events where source = '{SOURCE}'
"""
QUARANTINE = f"select message_id, event_id, payload, reason_codes from quarantine_messages where source = '{SOURCE}'"
DROPPED = f"select message_id, event_id, outcome from ops_dropped_messages where source = '{SOURCE}'"
# Of the two tables written beside silver: (event, identifier) pairs twice, and events without any.
BESIDE = f"""
    select
        (select count(*) - count(distinct (event_id, identifier_type, identifier_value))
            from silver_identifiers where source = '{SOURCE}') as doubled,
        (select count(*) from silver_events as e where source = '{SOURCE}' and not exists (
            from silver_identifiers as i where i.source = e.source and i.event_id = e.event_id)) as missing
"""
LONGEST_REPEAT = f"""
    select max(date_diff('day', b.received_at, d.received_at)) from ops_dropped_messages as r
    join bronze_messages as d using (message_id) join silver_events as s on s.source = r.source and s.event_id = r.event_id
    join bronze_messages as b on b.message_id = s.message_id where r.source = '{SOURCE}' and r.outcome = 'duplicate'
"""


def found_rows(settings: Settings) -> Iterator[Found]:
    """All rows of silver, quarantine and the dropped."""
    for row in _rows(settings, SILVER):
        yield _of_silver(row)
    for row in _rows(settings, QUARANTINE):
        stated = SEQ.search(row["payload"] or "")
        yield Found(
            Place.QUARANTINE,
            row["message_id"],
            row["event_id"],
            (text_hash(row["payload"] or ""),),
            tuple(row["reason_codes"] or ()),
            int(stated.group(1)) if stated else None,
        )
    for row in _rows(settings, DROPPED):
        yield Found(Place(row["outcome"]), row["message_id"], row["event_id"])


def _of_silver(row: dict[str, Any]) -> Found:
    body = json.loads(row["properties"]) if row["properties"] else {}
    shown = None if row["name"] == "identify" else body
    marks = tuple(
        imprint(row["event_id"], row["name"], row["anonymous_id"], occurred, shown)
        for occurred in (row["occurred_us"], None)
    )
    return Found(Place.SILVER, row["message_id"], row["event_id"], marks, (), body.get("seq"))


def beside_silver(settings: Settings) -> tuple[int, int]:
    """(identifier rows twice, silver events without identifier)."""
    doubled, missing = lake_connection(settings).execute(BESIDE).fetchall()[0]
    return int(doubled), int(missing)


def longest_repeat_days(settings: Settings) -> int:
    """Days of receipt between an event and the latest repeat of it that was dropped."""
    return int(lake_connection(settings).execute(LONGEST_REPEAT).fetchall()[0][0] or 0)


def _rows(settings: Settings, query: str) -> Iterator[dict[str, Any]]:
    reader = lake_connection(settings).execute(query).to_arrow_reader(BATCH_ROWS)
    for batch in reader:
        yield from batch.to_pylist()
