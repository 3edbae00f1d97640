"""Files in a folder under C360_HOME: `<folder>/<sync>/<run>/data.csv` (or .parquet), then `manifest.json`, always last.

Whoever picks the files up waits for the manifest. Options: `format` (csv or parquet), `folder` (under C360_HOME; default
outbox/drops). One row per change: operation, idempotency_key, the key, then the columns of the sync; removals leave the
columns empty. The files hold raw values where the sync asks for them, so only their owner can read them.
"""

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.definitions import SyncHeader
from jobs.core.errors import PermanentError
from jobs.core.files import write_durably
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.sync.destinations.base import Batch, Delivery, Destination
from jobs.sync.outcomes import Outcome, RowOutcome
from jobs.sync.plan import canonical

MANIFEST = "manifest.json"
OPTIONS = {"format", "folder"}
FORMATS = ("csv", "parquet")


class FileDrop(Destination):
    """Drops one folder per delivery."""

    is_local = True
    is_third_party = False

    def __init__(self, settings: Settings, header: SyncHeader) -> None:
        super().__init__(settings, header)
        unknown = set(header.options) - OPTIONS
        self.format = header.options.get("format", "csv")
        if unknown or self.format not in FORMATS:
            raise PermanentError(
                f"sync {header.name}: options of file_drop are {', '.join(sorted(OPTIONS))}, format one of {', '.join(FORMATS)}"
            )
        self.root = (
            self._inside(settings.home, settings.home / header.options.get("folder", "outbox/drops")) / header.name
        )

    def deliver(self, batch: Batch) -> list[RowOutcome]:
        """Writes data, then manifest. A batch that already stands in a finished drop is answered without a new one."""
        if not batch.rows:
            return []
        if batch.number not in self._finished().values():
            self._write(self._folder(batch), batch)
        return [
            RowOutcome(r.key, r.operation, Outcome.DELIVERED, None, r.row_hash, r.idempotency_key, batch.at)
            for r in batch.rows
        ]

    def _inside(self, root: Path, path: Path) -> Path:
        resolved = path.resolve()  # symbolic links included
        if resolved == root.resolve() or not resolved.is_relative_to(root.resolve()):
            raise PermanentError(f"sync {self.header.name}: {path} is outside of {root}; file drops stay inside of it")
        return resolved

    def _finished(self) -> dict[Path, str]:
        manifests = self.root.glob(f"*/{MANIFEST}")
        return {path.parent: str(json.loads(path.read_text(encoding="utf-8"))["batch"]) for path in manifests}

    def _folder(self, batch: Batch) -> Path:
        """The run's folder; a second, different delivery of the same run gets a number, an unfinished one is redone."""
        for attempt in range(1, 10_000):
            name = batch.run_id if attempt == 1 else f"{batch.run_id}.{attempt}"
            folder = self._inside(self.root, self.root / name)
            if not (folder / MANIFEST).exists():
                return folder
        raise PermanentError(f"sync {self.header.name}: too many drops of run {batch.run_id}; start a new run")

    def _write(self, folder: Path, batch: Batch) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = folder / f"data.{self.format}"
        table = [self._line(row) for row in batch.rows]
        write_durably(data, _csv(table, self._fields()) if self.format == "csv" else _parquet(table, self._fields()))
        manifest = {
            "sync": self.header.name,
            "run_id": batch.run_id,
            "batch": batch.number,
            "created_at": batch.at.isoformat(),
            "data_file": data.name,
            "format": self.format,
            "fields": self._fields(),
            "row_count": len(batch.rows),
            "operations": dict(sorted(Counter(str(row.operation) for row in batch.rows).items())),
            "sha256": hash_file(data),
        }
        write_durably(folder / MANIFEST, (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode())

    def _fields(self) -> list[str]:
        fields = ["operation", "idempotency_key", self.header.key, *self.header.columns]
        return list(dict.fromkeys(fields))

    def _line(self, row: Delivery) -> dict[str, str | None]:
        fixed = {"operation": str(row.operation), "idempotency_key": row.idempotency_key, self.header.key: row.key}
        return {name: canonical(value) for name, value in row.fields.items()} | fixed


def _csv(rows: list[dict[str, str | None]], fields: list[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: list[dict[str, str | None]], fields: list[str]) -> bytes:
    sink = io.BytesIO()
    schema = pa.schema([pa.field(name, pa.string()) for name in fields])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


DESTINATION = FileDrop
