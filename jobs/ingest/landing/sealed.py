"""One sealed file in the making: the messages of one or many delivered files, invisible until it is whole."""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.core.files import sync
from jobs.ingest.landing.readers import Message

BATCH_ROWS = 50_000
GROUP_ROWS = 500_000
MEMORY_BYTES = 256 * 2**20
SEALED = pa.schema(
    [
        ("source", pa.string()),
        ("file_name", pa.string()),
        ("file_number", pa.int64()),
        ("line_number", pa.int64()),
        ("received_at", pa.timestamp("us", tz="UTC")),
        ("payload", pa.string()),
        ("endpoint", pa.string()),
        ("receipt", pa.string()),
        ("payload_error", pa.string()),
    ]
)


class SealedGroup:
    """Collects messages per delivered file. Small files share one sealed file; one that outgrows memory gets its own.

    A file's messages join the group when it has been read to its end, so that one that breaks off leaves nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = 0
        self._first: int | None = None
        self._pending: list[pa.Table] = []
        self._done: list[pa.Table] = []
        self._writer: pq.ParquetWriter | None = None
        self._partials: list[Path] = []

    @property
    def is_full(self) -> bool:
        """Whether the group should be closed before the next file."""
        return self.rows >= GROUP_ROWS

    def write(self, number: int, source: str, path: Path, messages: Iterator[Message], received: datetime) -> int:
        """Takes all messages of file `number`; returns how many. Whatever `messages` raises is raised on."""
        count = in_memory = 0
        while batch := list(islice(messages, BATCH_ROWS)):
            self._pending.append(_table(source, path.name, number, received, batch))
            count += len(batch)
            in_memory += self._pending[-1].nbytes
            if in_memory > MEMORY_BYTES:
                self._spill(number)
                in_memory = 0
        if self._writer is not None:
            self._spill(number)
            self._close_writer()
        elif count:
            self._first = number if self._first is None else self._first
        self._done += self._pending
        self._pending = []
        self.rows += count
        return count

    def _spill(self, number: int) -> None:
        if self._writer is None:
            self._writer = self._open(number)
        for table in self._pending:
            self._writer.write_table(table)
        self._pending = []

    def _open(self, number: int) -> pq.ParquetWriter:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._partials.append(self.folder / f".{number:08d}.partial")  # hidden from Spark until it is whole
        return pq.ParquetWriter(self._partials[-1], SEALED, compression="zstd")

    def _close_writer(self) -> None:
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        sync(self._partials[-1])

    def drop(self) -> None:
        """Forgets the file that broke off."""
        self._pending = []
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._partials.pop().unlink()

    def finish(self) -> list[Path]:
        """Writes what is in memory and returns the hidden files, all on disk."""
        if self._first is not None:
            self._writer = self._open(self._first)
            for table in self._done:
                self._writer.write_table(table)
            self._close_writer()
        return self._partials


def _table(source: str, name: str, number: int, received: datetime, batch: list[Message]) -> pa.Table:
    count = len(batch)
    instant = SEALED.field("received_at").type
    default_us = int(received.timestamp() * 1_000_000)
    times = [default_us if m.received_us is None else m.received_us for m in batch]
    return pa.table(
        {
            "source": [m.source or source for m in batch],
            "file_name": [name] * count,
            "file_number": [number] * count,
            "line_number": [m.line for m in batch],
            "received_at": pa.array(times, pa.int64()).cast(instant),
            "payload": [m.payload for m in batch],
            "endpoint": [m.endpoint for m in batch],
            "receipt": [m.receipt for m in batch],
            "payload_error": [m.error for m in batch],
        },
        schema=SEALED,
    )
