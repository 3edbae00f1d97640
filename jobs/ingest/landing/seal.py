"""Landing: decides by a manifest which files are loaded, and seals each good one as Parquet for the stream.

A file is known by its content. Spark's own file source would never read a back-dated file, a re-upload under the same
name or appended lines, and would stop at a truncated gzip; so it is only shown files that this module has sealed:
whole, checked, named by number, never changed again.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations import contracts
from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.ingest.landing.preflight import Message, RefusedFileError, check_file, read_messages
from jobs.ingest.reasons import FileReason
from jobs.lake.delta import append, read
from jobs.lake.schema import arrow_schema

log = logging.getLogger(__name__)
BATCH_ROWS = 50_000
SEALED = pa.schema(
    [
        ("source", pa.string()),
        ("file_name", pa.string()),
        ("file_number", pa.int64()),
        ("line_number", pa.int64()),
        ("received_at", pa.timestamp("us", tz="UTC")),
        ("payload", pa.string()),
        ("payload_error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Landed:
    """What became of the files seen by one run: manifest rows written now."""

    loaded: int
    rejected: int
    messages: int
    refusals: tuple[str, ...]


def sealed_folder(settings: Settings) -> Path:
    """Where sealed files wait for the bronze stream."""
    return settings.home / "sealed"


@dataclass
class Seen:
    """What the manifest knows of earlier deliveries; grows with each file of this run.

    A refused delivery uses up neither its name nor its content: the repaired file may come under either.
    """

    files: set[tuple[str, str, str]]
    names: set[tuple[str, str]]
    contents: set[tuple[str, str]]
    last_number: int

    @classmethod
    def from_manifest(cls, settings: Settings, *, forget_refusals: bool) -> "Seen":
        """Reads the manifest once; with `forget_refusals`, files refused before are looked at again."""
        seen = cls(set(), set(), set(), 0)
        for row in read(settings, "ops_landing_manifest").to_pylist():
            seen.add(row)
            if forget_refusals and row["status"] == "rejected":
                seen.files.discard((row["source"], row["file_name"], row["sha256"]))
        return seen

    def add(self, row: dict[str, Any]) -> None:
        """Remembers one row of the manifest."""
        source, name, digest = row["source"], row["file_name"], row["sha256"]
        self.files.add((source, name, digest))
        if row["status"] == "loaded":
            self.names.add((source, name))
            self.contents.add((source, digest))
        self.last_number = max(self.last_number, row["file_number"])


def seal_new_files(context: Context, *, retry_refused: bool = False) -> Landed:
    """Checks every file of `landing/<source>/` that the manifest does not know, seals the good, records all of them."""
    settings = context.settings
    seen = Seen.from_manifest(settings, forget_refusals=retry_refused)
    _remove_unrecorded(settings, seen.last_number)
    written: list[dict[str, Any]] = []
    for source, path in _landing_files(settings):
        digest = _digest(path)
        if (source, path.name, digest) in seen.files:
            continue
        number = seen.last_number + 1
        row = _one_file(context, number, source, path, digest=digest, seen=seen)
        append(settings, "ops_landing_manifest", _manifest_table([row]), app_id="landing", app_version=number)
        seen.add(row)
        written.append(row)
    rejected = [row for row in written if row["status"] == "rejected"]
    return Landed(
        loaded=len(written) - len(rejected),
        rejected=len(rejected),
        messages=sum(row["row_count"] for row in written),
        refusals=tuple(f"{row['source']}/{row['file_name']}: {row['reason']} ({row['details']})" for row in rejected),
    )


def _landing_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """(source, file) in a fixed order; names starting with "." are still being written."""
    settings.landing.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in sorted(p for p in settings.landing.iterdir() if p.is_dir() and not p.name.startswith(".")):
        for path in sorted(folder.iterdir()):
            if not path.name.startswith("."):
                yield folder.name, path


def _digest(path: Path) -> str:
    """sha256 of a regular file that can be read; empty for anything else, which `_one_file` then refuses."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        return hash_file(path)
    except OSError:
        return ""


def _remove_unrecorded(settings: Settings, last_number: int) -> None:
    """Removes what a crash left behind between sealing and the manifest: no stream has seen it, it is sealed again."""
    for path in sealed_folder(settings).glob("*"):
        if path.name.endswith(".partial") or (path.stem.isdigit() and int(path.stem) > last_number):
            path.unlink()


def _one_file(context: Context, number: int, source: str, path: Path, *, digest: str, seen: Seen) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file_number": number, "source": source, "file_name": path.name, "sha256": digest,
        "size_bytes": path.lstat().st_size, "row_count": 0, "status": "loaded", "reason": None, "details": None,
        "run_id": context.run_id, "recorded_at": context.clock.now(),
    }  # fmt: skip
    try:
        if source not in contracts.sources():
            raise RefusedFileError(FileReason.UNKNOWN_SOURCE, "no contract in expectations/contracts/sources")
        if (source, path.name) in seen.names:
            raise RefusedFileError(
                FileReason.NAME_REUSED, "the name was delivered before with other content; use a new name"
            )
        if digest and (source, digest) in seen.contents:
            raise RefusedFileError(FileReason.REPEATED_FILE, "the same bytes were delivered before under another name")
        contract = contracts.sources()[source]
        check_file(path, contract)
        if not digest:
            raise RefusedFileError(FileReason.UNREADABLE, "its bytes could not be read when it was found")
        row["row_count"] = _seal(context, number, contract, path)
    except RefusedFileError as refusal:
        row |= {"status": "rejected", "reason": refusal.reason.value, "details": refusal.details}
        log.warning("refused %s/%s: %s", source, path.name, refusal)
    return row


def _seal(context: Context, number: int, contract: contracts.SourceContract, path: Path) -> int:
    """Writes the file's messages as one Parquet file, renamed into place when whole; returns their number."""
    folder = sealed_folder(context.settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    final = folder / f"{number:08d}.parquet"
    partial = folder / f".{number:08d}.partial"  # hidden from Spark until it is whole
    received = context.clock.now()
    rows = 0
    with pq.ParquetWriter(partial, SEALED, compression="zstd") as writer:
        for batch in _batches(read_messages(path, contract)):
            writer.write_table(_sealed_table(contract.name, path.name, number, received, batch))
            rows += len(batch)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(final)
    log.info("sealed %s/%s: %d messages", contract.name, path.name, rows)
    return rows


def _batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == BATCH_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _sealed_table(source: str, name: str, number: int, received: object, batch: list[Message]) -> pa.Table:
    count = len(batch)
    return pa.table(
        {
            "source": [source] * count,
            "file_name": [name] * count,
            "file_number": [number] * count,
            "line_number": [m.line for m in batch],
            "received_at": pa.array([received] * count, SEALED.field("received_at").type),
            "payload": [m.payload for m in batch],
            "payload_error": [m.error for m in batch],
        },
        schema=SEALED,
    )


def _manifest_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("ops_landing_manifest").contract))
