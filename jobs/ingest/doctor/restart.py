"""A new checkpoint for a stream, after proof of what it had loaded: nothing is lost and nothing loaded twice.

Bronze: a sealed file is loaded when bronze holds as many rows of each of its delivered files as it does; such files are
removed, and the new checkpoint takes the others. Silver: the last batch of the old checkpoint is rolled back unless all its
tables hold it (Delta's transactions say so) or bronze no longer has all of it; then every message is in one place or in
none, and the new stream, which begins with the first row of bronze, passes over the placed ones.
The old checkpoint is set aside, not deleted. A kill at any point leaves a state that the command can be repeated in.
"""

import json
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.ingest.doctor import evidence
from jobs.ingest.doctor.examine import examine
from jobs.ingest.doctor.findings import Kind
from jobs.ingest.stream.restart import Restart, read_restart, restart_file
from jobs.lake.checkpoints import BRONZE, SILVER, SILVER_TABLES, folder
from jobs.lake.delta import again_on_conflict, ensure_table
from jobs.lake.duck import lake_connection
from jobs.lake.placement import PLACES


@dataclass(frozen=True)
class Proof:
    """What was found loaded and what is left to load, in the words of the stream (`sealed files` or `messages`)."""

    what: str
    loaded: int
    left: int
    rolled_back: str | None = None


def new_checkpoint(context: Context, stream: str) -> Proof:
    """Begins anew. Raises UsageError when the checkpoint is whole, PermanentError when the proof fails.

    The caller holds the ingest lock and the maintenance lock.
    """
    settings = context.settings
    if not any(finding.kind is Kind.LOST for finding in examine(settings, stream)):
        raise UsageError(f"the checkpoint of {stream} needs no new beginning; `c360 ingest doctor` says what it needs")
    fresh = str(uuid.uuid4())
    settings.checkpoints.mkdir(parents=True, exist_ok=True)
    proof = _prove_bronze(settings) if stream == BRONZE else _prove_silver(settings)
    fail_at(settings, Failpoint.AFTER_ROLLBACK_BEFORE_NEW_CHECKPOINT)
    _set_aside(settings, stream)
    fail_at(settings, Failpoint.AFTER_OLD_CHECKPOINT_ASIDE)
    if stream == SILVER:
        bronze = evidence.table(settings, "bronze_messages")
        _write_restart(settings, Restart(fresh, bronze.version() if bronze else -1))
    _begin(settings, stream, fresh)
    return proof


def _prove_bronze(settings: Settings) -> Proof:
    sealed = {path: _lines_by_number(path) for path in sorted(settings.sealed.glob("*.parquet"))}
    held = _bronze_lines(settings)
    loaded: list[Path] = []
    for path, counts in sealed.items():
        found = {number: held.get(number, 0) for number in counts}
        if found == counts:
            loaded.append(path)
        elif any(found.values()):
            raise PermanentError(
                f"bronze holds {sum(found.values())} of the {sum(counts.values())} messages of sealed/{path.name}, and all "
                "or none was expected: restore bronze or the file from a backup"
            )
    for path in loaded:
        path.unlink()
    return Proof("sealed files", len(loaded), len(sealed) - len(loaded))


def _lines_by_number(path: Path) -> dict[int, int]:
    numbers = pq.read_table(path, columns=["file_number"]).column("file_number").value_counts().to_pylist()
    return {int(row["values"]): int(row["counts"]) for row in numbers}


def _bronze_lines(settings: Settings) -> dict[int, int]:
    """Number of delivered file → its rows in bronze."""
    table = evidence.table(settings, "bronze_messages")
    found: Counter[int] = Counter()
    for batch in table.to_pyarrow_dataset().to_batches(columns=["origin"]) if table else []:
        parts = pc.split_pattern(batch.column("origin").drop_null(), ":", max_splits=2)
        is_file = pc.equal(pc.list_element(parts, 0), "file")
        numbers = pc.list_element(parts.filter(is_file), 1)
        found.update({int(row["values"]): int(row["counts"]) for row in numbers.value_counts().to_pylist()})
    return found


def _prove_silver(settings: Settings) -> Proof:
    for name in SILVER_TABLES:
        ensure_table(settings, name)
    rolled_back = None
    for checkpoint, batch in _last_batches(settings).items():
        mark = f"{checkpoint}:{batch}"
        if min(evidence.written(settings, SILVER, checkpoint).values()) < batch and _can_come_again(settings, mark):
            rolled_back = mark
            for name in SILVER_TABLES:
                _take_back(settings, name, rolled_back)
    query = """
        with placed as (
            select message_id from silver_events union select message_id from silver_records
            union select message_id from ops_dropped_messages union select message_id from quarantine_messages
        )
        select count(*) filter (where message_id in (from placed)), count(*) from bronze_messages
    """
    with lake_connection(settings, ("bronze_messages", *PLACES)) as connection:
        placed, received = connection.execute(query).fetchall()[0]
    return Proof("messages", placed, received - placed, rolled_back)


def _can_come_again(settings: Settings, batch: str) -> bool:
    """Whether bronze still holds every message of the batch. Retention takes days whose messages are all settled: a batch
    that it has touched was whole, and nothing would bring it back."""
    query = """
        select count(*) from (
            select message_id, ingest_batch from silver_events union all select message_id, ingest_batch from silver_records
            union all select message_id, ingest_batch from ops_dropped_messages
            union all select message_id, ingest_batch from quarantine_messages
        ) where ingest_batch = $batch and message_id not in (select message_id from bronze_messages)
    """
    with lake_connection(settings, ("bronze_messages", *PLACES)) as connection:
        return bool(connection.execute(query, {"batch": batch}).fetchall()[0][0] == 0)


def _last_batches(settings: Settings) -> dict[str, int]:
    """The checkpoint that is lost → the highest batch of it that any table holds rows of. Where a stream has begun anew
    before, it is the one that it began with then; those before it were proven at that time."""
    begun = read_restart(settings)
    found: dict[str, int] = {}
    for name in SILVER_TABLES:
        for batch in ensure_table(settings, name).to_pyarrow_dataset().to_batches(columns=["ingest_batch"]):
            for mark in batch.column("ingest_batch").drop_null().unique().to_pylist():
                checkpoint, number, *_ = str(mark).split(":")
                if checkpoint != "replay" and (begun is None or begun.checkpoint == checkpoint):
                    found[checkpoint] = max(int(number), found.get(checkpoint, -1))
    return found


def _take_back(settings: Settings, name: str, batch: str) -> None:
    again_on_conflict(name, lambda: ensure_table(settings, name).delete(f"ingest_batch = '{batch}'"))


def _set_aside(settings: Settings, stream: str) -> None:
    home = folder(settings, stream)
    if home.exists():
        number = len(list(settings.checkpoints.glob(f"old-{stream}-*"))) + 1
        home.rename(settings.checkpoints / f"old-{stream}-{number}")


def _write_restart(settings: Settings, restart: Restart) -> None:
    write_durably(restart_file(settings), json.dumps(asdict(restart)))


def _begin(settings: Settings, stream: str, checkpoint: str) -> None:
    """The new checkpoint with an id of ours: from now on it is known whose start this is."""
    partial = settings.checkpoints / f".new-{stream}"
    partial.mkdir(parents=True, exist_ok=True)
    write_durably(partial / "metadata", json.dumps({"id": checkpoint}, separators=(",", ":")))
    partial.rename(folder(settings, stream))
