"""What retention has taken out of bronze: counts by source, hour and outcome, which the balance adds to what is there.

A retention run writes its counts to `ops_retired_messages` first and then takes the days out of bronze in one commit,
which carries the run's number as transaction `retention`. Counts of a higher number than bronze's speak of a run that a
crash cut off: the days are still there, and the counts do not count.
"""

from datetime import date
from typing import Any

import pyarrow.compute as pc
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake.delta import read, row_count

APP_ID = "retention"
TABLE = "ops_retired_messages"


def last_batch(settings: Settings) -> int:
    """The number of the last retention run whose days are gone from bronze; 0 before the first."""
    path = str(lake_table("bronze_messages").path(settings))
    return int(DeltaTable(path).transaction_version(APP_ID) or 0) if DeltaTable.is_deltatable(path) else 0


def retired(settings: Settings, since: date = date.min) -> list[dict[str, Any]]:
    """The counts that count, of receipt days from `since` on: rows of ops_retired_messages."""
    table = read(settings, TABLE)
    found = table.filter(pc.less_equal(table.column("retired_batch"), last_batch(settings)))
    return [row for row in found.to_pylist() if row["landed_date"] >= since]


def retired_count(settings: Settings, *, from_files: bool) -> int:
    """Messages that were in bronze and are no more: those of files, or those of Kafka."""
    return sum(int(row["messages"]) for row in retired(settings) if row["is_from_file"] == from_files)


def loaded_from_files(settings: Settings) -> int:
    """Messages that came through landing: those in bronze and those that were. Only Kafka's have no file."""
    has_topics = row_count(settings, "ops_kafka_topics") > 0
    present = row_count(settings, "bronze_messages", present="file_name" if has_topics else None)
    return present + retired_count(settings, from_files=True)
