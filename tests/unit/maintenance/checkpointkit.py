"""A home as the two streams leave it, without a JVM: rows in the tables, sealed files, and checkpoints written by hand in
Spark's layout (compared with Spark's own in tests/spark/test_maintenance.py)."""

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.ingest.landing.sealed import SEALED
from jobs.lake.checkpoints import SILVER_TABLES
from jobs.lake.delta import append, ensure_table
from jobs.lake.schema import arrow_schema

Row = dict[str, Any]
TODAY = date(2024, 3, 31)
UUID = {"bronze": "b0000000-0000-4000-8000-000000000000", "silver": "50000000-0000-4000-8000-000000000000"}
FATES = ("accepted", "quarantined", "duplicate", "suppressed")


def context_of(settings: Settings, day: date = TODAY) -> Context:
    """A context whose clock stands at noon of a day."""
    return Context(settings, Clock(datetime.combine(day, time(12), UTC)), "test-run")


def table_of(name: str, rows: list[Row]) -> pa.Table:
    """Rows in a table's shape, missing columns NULL."""
    return pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(name).contract))


def bronze_row(number: int, line: int, day: date) -> Row:
    """Line `line` of file `number`, received on a day."""
    origin = f"file:{number}:{line}"
    return {
        "message_id": hash_parts(["web", origin]), "source": "web", "origin": origin,
        "receive_position": number * 10**9 + line, "received_at": datetime.combine(day, time(9), UTC),
        "landed_date": day, "payload": json.dumps({"who": f"ann-{number}-{line}@example.com"}), "is_checked": True,
        "file_name": f"{number}.ndjson",
    }  # fmt: skip


def placed(row: Row, fate: str, batch: str) -> tuple[str, Row]:
    """(table, row) that a bronze row becomes."""
    head = {"message_id": row["message_id"], "source": "web", "ingest_batch": batch, "received_at": row["received_at"]}
    event = {
        "event_id": row["origin"],
        "event_date": row["landed_date"],
        "flags": [],
        "body_hash": "x",
        "contract_version": 1,
    }
    if fate == "accepted":
        return "silver_events", head | event
    if fate == "quarantined":
        reasons = {"reason_codes": ["wrong_type", "bad_number"], "reason_details": ["wrong_type:is"]}
        state = {"replay_state": "pending", "quarantined_date": row["landed_date"], "payload": row["payload"]}
        return "quarantine_messages", head | reasons | state
    return "ops_dropped_messages", {
        "message_id": row["message_id"], "source": "web", "outcome": fate, "ingest_batch": batch,
        "received_date": row["landed_date"],
    }  # fmt: skip


class Streams:
    """Plays both streams: each `load` is one sealed file, one bronze batch and one silver batch."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.batch = -1
        self.number = 0
        self.ids = dict(UUID)
        for name in ("bronze_messages", "ops_landing_manifest", "ops_retired_messages", *SILVER_TABLES):
            ensure_table(settings, name)
        for stream, uuid in UUID.items():
            _write(settings.checkpoints / stream / "metadata", json.dumps({"id": uuid}))

    def load(self, day: date, lines: int = 4, *, commit: bool = True) -> list[Row]:
        """Brings a file of a day to silver, its lines by turns to each fate; without `commit` Spark never said so."""
        self.number += 1
        self.batch += 1
        rows = [bronze_row(self.number, line, day) for line in range(1, lines + 1)]
        self.seal(rows)
        self.list_sealed()
        self.bronze(rows, commit=True)
        before = self.silver_offset()
        if commit:
            self.place(rows)
        self.silver(before, commit=commit)
        return rows

    def seal(self, rows: list[Row]) -> Path:
        """The sealed file of the rows."""
        self.settings.sealed.mkdir(parents=True, exist_ok=True)
        path = self.settings.sealed / f"{self.number:08d}.parquet"
        lines = [
            row | {"file_number": self.number, "line_number": int(row["origin"].rsplit(":", 1)[1])} for row in rows
        ]
        pq.write_table(pa.Table.from_pylist(lines, schema=SEALED), path)
        manifest = {
            "file_number": self.number, "source": "web", "file_name": f"{self.number}.ndjson", "sha256": str(self.number),
            "size_bytes": 1, "signature": "none", "row_count": len(rows), "status": "loaded", "run_id": "t",
            "recorded_at": rows[0]["received_at"],
        }  # fmt: skip
        append(self.settings, "ops_landing_manifest", table_of("ops_landing_manifest", [manifest]))
        return path

    def list_sealed(self, home: Path | None = None) -> None:
        """The bronze stream's list of files that it has seen, and its offset."""
        path = (home or self.settings.home) / "sealed" / f"{self.number:08d}.parquet"
        entry = json.dumps({"path": f"file://{path}", "timestamp": 1, "batchId": self.batch})
        folder = self.settings.checkpoints / "bronze"
        _write(folder / "sources" / "0" / str(self.batch), f"v1\n{entry}")
        _write(
            folder / "offsets" / str(self.batch), 'v1\n{"batchWatermarkMs":0}\n' + json.dumps({"logOffset": self.batch})
        )

    def bronze(self, rows: list[Row], *, commit: bool) -> None:
        """The bronze batch: one commit of Delta under the checkpoint's id, then Spark's."""
        from deltalake import CommitProperties, Transaction, write_deltalake

        carries = CommitProperties(app_transactions=[Transaction(self.ids["bronze"], self.batch)])
        path = str(lake_table("bronze_messages").path(self.settings))
        write_deltalake(path, table_of("bronze_messages", rows), mode="append", commit_properties=carries)
        if commit:
            self.committed("bronze")

    def place(self, rows: list[Row], tables: tuple[str, ...] = SILVER_TABLES) -> None:
        """The silver batch's writes to some of its tables (all: nothing is left half written)."""
        batch = f"{self.ids['silver']}:{self.batch}"
        by_table: dict[str, list[Row]] = {name: [] for name in tables}
        for index, row in enumerate(rows):
            name, found = placed(row, FATES[index % len(FATES)], batch)
            by_table.setdefault(name, []).append(found)
        for name in tables:
            mark = f"silver:{self.ids['silver']}:{name}"
            append(self.settings, name, table_of(name, by_table[name]), app_id=mark, app_version=self.batch)

    def silver_offset(self) -> str:
        """The Delta source's offset after all that bronze holds."""
        bronze = DeltaTable(str(lake_table("bronze_messages").path(self.settings)))
        where = {"reservoirVersion": bronze.version() + 1, "index": -1, "isStartingVersion": False}
        return json.dumps({"sourceVersion": 1, "reservoirId": str(bronze.metadata().id)} | where)

    def silver(self, offset: str, *, commit: bool) -> None:
        """The silver stream's own bookkeeping."""
        folder = self.settings.checkpoints / "silver"
        _write(folder / "offsets" / str(self.batch), 'v1\n{"batchWatermarkMs":0}\n' + offset)
        if commit:
            self.committed("silver")

    def committed(self, stream: str) -> None:
        """Spark's word that the batch is done."""
        _write(self.settings.checkpoints / stream / "commits" / str(self.batch), 'v1\n{"nextBatchWatermarkMs":0}')


def days_back(count: int) -> date:
    """A day before today."""
    return TODAY - timedelta(days=count)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
