"""Makes a replay's writes one step: what goes where is on disk before any table gets it, and is carried out to its end.

The tables are written one after the other, each append under its own transaction id, the states of the quarantine last.
Whoever finds an open journal (the next replay, the next ingest run) does the same again and changes nothing twice. No
judging is repeated: between the two a contract, a rule or silver may have changed.
"""

import logging
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.files import sync
from jobs.core.settings import Settings
from jobs.lake.delta import append, last_transaction, update

log = logging.getLogger(__name__)
# In the order they are written: what others refer to first.
TABLES = ("silver_events", "silver_records", "silver_identifiers", "consents", "ops_dropped_messages")
STATES = "states"
APP_ID = "replay"


def _folder(settings: Settings) -> Path:
    return settings.home / "replay"


def next_version(settings: Settings) -> int:
    """The number of the next replay: part of `ingest_batch`, and the version of its transactions."""
    return 1 + max(last_transaction(settings, name, f"{APP_ID}:{name}") for name in TABLES)


def carry_out(settings: Settings, version: int, tables: dict[str, pa.Table], states: list[pa.Table]) -> None:
    """Appends the tables' rows and sets the states of the quarantined ones; all of it or, after a crash, later.

    Each of `states` has a message_id and the columns to set. The caller holds the ingest lock.
    """
    partial = _folder(settings) / ".next"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    _folder(settings).chmod(0o700)
    named = {name: tables[name] for name in TABLES if name in tables}
    for name, table in (named | {f"{STATES}-{i}": table for i, table in enumerate(states)}).items():
        if table.num_rows:
            _write(partial / f"{name}.parquet", table)
    sync(partial)
    partial.rename(_folder(settings) / f"open-{version}")
    sync(_folder(settings))
    finish_interrupted(settings)


def finish_interrupted(settings: Settings) -> bool:
    """Carries out what a replay has left open; returns whether there was any. The caller holds the ingest lock."""
    found = list(_folder(settings).glob("open-*"))
    for journal in found:
        version = int(journal.name.removeprefix("open-"))
        for name in TABLES:
            if (journal / f"{name}.parquet").exists():
                rows = pq.read_table(journal / f"{name}.parquet")
                append(settings, name, rows, app_id=f"{APP_ID}:{name}", app_version=version)
        for path in sorted(journal.glob(f"{STATES}-*.parquet")):
            update(settings, "quarantine_messages", pq.read_table(path), key="message_id")
        done = journal.with_name(f".done-{version}")
        journal.rename(done)  # a journal half removed must not be found again
    for rest in _folder(settings).glob(".done-*"):
        shutil.rmtree(rest)
    return bool(found)


def _write(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path)
    sync(path)
