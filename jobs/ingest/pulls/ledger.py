"""What has been pulled already: objects by what they are, and how far a REST source has been read. SQLite at `pulls/ledger.db`.

A line is written only when the file that it speaks of stands in landing/, on disk. Rows are not kept: those near the
cursor are remembered by keyed fingerprints. Objects are, by the key that their owner gave them.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from jobs.core.settings import Settings
from jobs.transport.s3 import StoredObject

FETCHED = "fetched"
_SCHEMA = """
create table if not exists objects (
  source text not null, bucket text not null, key text not null, etag text not null, version text not null,
  size_bytes integer not null, status text not null, file_name text, run_id text not null, recorded_at text not null,
  primary key (source, bucket, key, etag, version, size_bytes)
) strict;
create table if not exists cursors (
  pull text not null, endpoint text not null, position text not null, run_id text not null, recorded_at text not null,
  primary key (pull, endpoint)
) strict;
create table if not exists marks (
  pull text not null, endpoint text not null, mark blob not null, position text not null, primary key (pull, endpoint, mark)
) strict;
create table if not exists files (
  pull text not null, file_name text not null, row_count integer not null, run_id text not null, recorded_at text not null,
  primary key (pull, file_name)
) strict;
"""


@dataclass(frozen=True)
class Landed:
    """A file that stands in landing/."""

    name: str
    rows: int


@dataclass(frozen=True)
class ReadTo:
    """How far an endpoint has been read: `position`, and the marks of rows near it that are not to be handed on again."""

    position: str
    marks: Iterable[tuple[bytes, str]]


class Ledger:
    """All pulls of a home. Every method is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def has(self, source: str, stored: StoredObject) -> bool:
        """Whether this very object was fetched for the source."""
        found = self._connection.execute(
            "select status from objects where source = ? and bucket = ? and key = ? and etag = ? and version = ? "
            "and size_bytes = ?",
            (source, *_identity(stored)),
        ).fetchone()
        return found is not None and found[0] == FETCHED

    def note(
        self, source: str, stored: StoredObject, status: str, file_name: str | None, *, run_id: str, at: datetime
    ) -> None:
        """What became of an object, in place of what was noted of it before."""
        with self._connection:
            self._connection.execute(
                "insert or replace into objects values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (source, *_identity(stored), status, file_name, run_id, at.isoformat()),
            )

    def position(self, pull: str, endpoint: str) -> str | None:
        """How far the endpoint has been read; None when it has not."""
        found = self._connection.execute(
            "select position from cursors where pull = ? and endpoint = ?", (pull, endpoint)
        ).fetchone()
        return None if found is None else str(found[0])

    def marks(self, pull: str, endpoint: str) -> dict[bytes, str]:
        """Mark → position of the rows near the cursor."""
        rows = self._connection.execute(
            "select mark, position from marks where pull = ? and endpoint = ?", (pull, endpoint)
        )
        return dict(rows.fetchall())

    def landed(
        self, pull: str, endpoint: str, file: Landed | None, read_to: ReadTo | None, *, run_id: str, at: datetime
    ) -> None:
        """Notes a file, and how far the endpoint is read now that it stands there."""
        with self._connection as db:
            if file is not None:
                db.execute(
                    "insert or replace into files values (?, ?, ?, ?, ?)",
                    (pull, file.name, file.rows, run_id, at.isoformat()),
                )
            if read_to is not None:
                db.execute(
                    "insert or replace into cursors values (?, ?, ?, ?, ?)",
                    (pull, endpoint, read_to.position, run_id, at.isoformat()),
                )
                db.execute("delete from marks where pull = ? and endpoint = ?", (pull, endpoint))
                db.executemany(
                    "insert into marks values (?, ?, ?, ?)",
                    [(pull, endpoint, mark, position) for mark, position in read_to.marks],
                )

    def last_of(self, pull: str) -> tuple[int, str | None]:
        """(files handed on so far, when the last one was) of a pull or, for S3, of a source."""
        files, last = self._connection.execute(
            "select count(*), max(recorded_at) from (select recorded_at from files where pull = ? "
            "union all select recorded_at from objects where source = ? and status = ?)",
            (pull, pull, FETCHED),
        ).fetchone()
        return int(files), last


def _identity(stored: StoredObject) -> tuple[str, str, str, str, int]:
    return stored.bucket, stored.key, stored.etag, stored.version or "", stored.size


@contextmanager
def open_ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger of this home, created on first use; readable by its owner only."""
    folder = settings.home / "pulls"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "ledger.db", timeout=30)
    try:
        (folder / "ledger.db").chmod(0o600)
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.executescript(_SCHEMA)
        yield Ledger(connection)
    finally:
        connection.close()
