"""Where messages are: the one statement of which table says what became of a message. Balance and retention share it."""

from jobs.core.settings import Settings
from jobs.lake.checkpoints import SILVER, checkpoint_id, folder, last_commit

# message_id, outcome, ingest_batch. Rows of the checkpoint's batches that Spark has not committed do not count yet
# ($checkpoint, $committed). A replay writes its rows before it marks the quarantined ones: what it has placed is no
# longer quarantined.
PLACED_CTES = """
placed as (
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
)
"""
PLACES = ("silver_events", "silver_records", "ops_dropped_messages", "quarantine_messages")


def bounds(settings: Settings) -> dict[str, object]:
    """The values of $checkpoint and $committed."""
    is_there = (folder(settings, SILVER) / "metadata").exists()
    return {"checkpoint": checkpoint_id(settings) if is_there else "none", "committed": last_commit(settings, SILVER)}
