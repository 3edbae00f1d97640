"""Reads from Spark's checkpoints how far a topic has come into bronze.

Each life of a topic has a folder, each stretch of reading in it a checkpoint: a new stretch begins behind an accepted gap, for
a checkpoint cannot be told to jump.
"""

import json
from pathlib import Path

from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.ingest.kafka.ledger import KnownTopic
from jobs.lake.duck import lake_connection
from jobs.lake.retired import retired

FOLDER = "bronze_kafka"


def folder_of(settings: Settings, life: KnownTopic) -> Path:
    """Where the stretches of a topic's life are."""
    return settings.checkpoints / FOLDER / life.label


def stretch_of(settings: Settings, life: KnownTopic, accepted: int) -> Path:
    """The checkpoint of the stretch that begins behind so many accepted gaps."""
    return folder_of(settings, life) / f"{accepted:06d}"


def read_offsets(settings: Settings, life: KnownTopic, accepted: int) -> dict[int, int]:
    """Partition → the offset behind the last one in bronze; where nothing is in yet, the offset that we began at.

    Where the stretch has no checkpoint (it is new, or was lost) bronze itself is asked, and what
    retention has noted of it: nothing is ever loaded twice.
    """
    found = dict(life.first)
    folder = folder_of(settings, life)
    bronze = DeltaTable(str(lake_table("bronze_messages").path(settings)))
    ends = [_landed(stretch, life.topic, bronze) for stretch in (folder.iterdir() if folder.exists() else ())]
    if not stretch_of(settings, life, accepted).exists():
        ends += [_in_bronze(settings, life), _retired(settings, life)]
    for end in ends:
        for partition, offset in end.items():
            found[partition] = max(found.get(partition, 0), offset)
    return found


def _retired(settings: Settings, life: KnownTopic) -> dict[int, int]:
    """The same of what retention has taken out of bronze."""
    found: dict[int, int] = {}
    for row in retired(settings):
        label, _, partition = str(row["kafka_partition"] or "").rpartition(":")
        if label == life.label:
            found[int(partition)] = max(found.get(int(partition), 0), int(row["last_offset"]) + 1)
    return found


def _in_bronze(settings: Settings, life: KnownTopic) -> dict[int, int]:
    query = """
        select cast(split_part(origin, ':', 3) as bigint), max(cast(split_part(origin, ':', 4) as bigint)) + 1
        from bronze_messages where starts_with(origin, $prefix) group by 1
    """
    with lake_connection(settings, ("bronze_messages",)) as connection:
        return dict(connection.execute(query, {"prefix": f"kafka:{life.label}:"}).fetchall())


def _landed(stretch: Path, topic: str, bronze: DeltaTable) -> dict[int, int]:
    """End offsets of the last batch that is in the table, whether or not Spark has noted it as done."""
    metadata, offsets = stretch / "metadata", stretch / "offsets"
    if not metadata.exists() or not offsets.exists():
        return {}
    query_id = json.loads(metadata.read_text(encoding="utf-8"))["id"]
    noted = [int(path.name) for path in (stretch / "commits").glob("*") if path.name.isdigit()]
    written = bronze.transaction_version(query_id)
    last = max([*noted, -1 if written is None else written])
    if last < 0:
        return {}
    lines = (offsets / str(last)).read_text(encoding="utf-8").splitlines()
    return {int(partition): int(offset) for partition, offset in json.loads(lines[-1]).get(topic, {}).items()}
