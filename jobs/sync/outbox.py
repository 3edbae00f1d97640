"""The outbox: which changes were planned, and what each destination has acknowledged, row by row. SQLite at `outbox/sync.db`.

No payload is kept here: a row is named by its key and its keyed hash. State advances only in `settle`, for acknowledged rows.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from jobs.core.settings import Settings
from jobs.sync.outcomes import Outcome, RowOutcome
from jobs.sync.plan import Change

MAX_REJECTIONS = 5
_SCHEMA = """
create table if not exists acknowledged (
  sync text not null, key text not null, row_hash text, sequence integer not null, acknowledged_at text not null,
  run_id text not null, primary key (sync, key)
) strict;
create table if not exists outbox (
  idempotency_key text primary key, sync text not null, destination text not null, key text not null,
  operation text not null, row_hash text, status text not null, attempts integer not null default 0, reason text,
  run_id text not null, planned_at text not null
) strict;
create table if not exists outcomes (
  sync text not null, batch text not null, run_id text not null, key text not null, operation text not null,
  outcome text not null, reason text, row_hash text, acknowledged_at text, recorded_at text not null,
  is_published integer not null default 0, primary key (sync, run_id, key, operation, batch)
) strict;
"""


@dataclass(frozen=True)
class Acknowledged:
    """What one destination holds of one key. `row_hash` is None once it was removed."""

    row_hash: str | None
    sequence: int
    acknowledged_at: str


@dataclass(frozen=True)
class Planned:
    """A change with the identity it is sent under."""

    change: Change
    idempotency_key: str


class Outbox:
    """All state of all syncs. Every method is one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def history(self, sync: str) -> dict[str, Acknowledged]:
        """Key → what was acknowledged last, removals included."""
        rows = self._connection.execute(
            "select key, row_hash, sequence, acknowledged_at from acknowledged where sync = ?", (sync,)
        )
        return {key: Acknowledged(*rest) for key, *rest in rows}

    def parked(self, sync: str) -> set[str]:
        """Idempotency keys of changes that were rejected so often that they are left alone until the row changes."""
        rows = self._connection.execute(
            "select idempotency_key from outbox where sync = ? and status = ? and attempts >= ?",
            (sync, Outcome.REJECTED, MAX_REJECTIONS),
        )
        return {row[0] for row in rows}

    def put(self, sync: str, destination: str, planned: Iterable[Planned], *, run_id: str, at: datetime) -> None:
        """Notes the changes before anything is sent; a change that waits already keeps its identity and attempts."""
        with self._connection:
            self._connection.executemany(
                "insert into outbox values (?, ?, ?, ?, ?, ?, 'pending', 0, null, ?, ?) "
                "on conflict (idempotency_key) do update set run_id = excluded.run_id",
                [
                    (
                        p.idempotency_key,
                        sync,
                        destination,
                        p.change.key,
                        p.change.operation,
                        p.change.row_hash,
                        run_id,
                        _text(at),
                    )
                    for p in planned
                ],
            )

    def settle(self, sync: str, outcomes: Iterable[RowOutcome], *, batch: str, run_id: str, at: datetime) -> None:
        """Takes in the answers: acknowledged state for delivered rows only, one outcome per row, all or nothing."""
        with self._connection:
            for row in outcomes:
                self._answer(row)
                if row.outcome is Outcome.DELIVERED:
                    self._acknowledge(sync, row, run_id, at)
                acknowledged_at = _text(row.acknowledged_at) if row.acknowledged_at else None
                answer = (row.key, row.operation, row.outcome, row.reason, row.row_hash, acknowledged_at)
                self._connection.execute(
                    "insert or ignore into outcomes values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                    (sync, batch, run_id, *answer, _text(at)),
                )

    def _answer(self, row: RowOutcome) -> None:
        if row.idempotency_key is not None:
            self._connection.execute(
                "update outbox set status = ?, reason = ?, attempts = attempts + 1 where idempotency_key = ?",
                (row.outcome, row.reason, row.idempotency_key),
            )

    def _acknowledge(self, sync: str, row: RowOutcome, run_id: str, at: datetime) -> None:
        self._connection.execute(
            "insert into acknowledged values (?, ?, ?, 1, ?, ?) on conflict (sync, key) do update set "
            "row_hash = excluded.row_hash, sequence = sequence + 1, acknowledged_at = excluded.acknowledged_at, "
            "run_id = excluded.run_id",
            (sync, row.key, row.row_hash, _text(row.acknowledged_at or at), run_id),
        )

    def unpublished(self) -> dict[tuple[str, str], list[dict[str, object]]]:
        """(sync, batch) → outcome rows that have not reached the lake yet."""
        cursor = self._connection.execute("select * from outcomes where is_published = 0 order by sync, batch, key")
        names = [column[0] for column in cursor.description]
        found: dict[tuple[str, str], list[dict[str, object]]] = {}
        for values in cursor:
            row = dict(zip(names, values, strict=True))
            found.setdefault((str(row["sync"]), str(row["batch"])), []).append(row)
        return found

    def mark_published(self, sync: str, batch: str) -> None:
        """Notes that the outcomes of a batch are in the lake."""
        with self._connection:
            self._connection.execute("update outcomes set is_published = 1 where sync = ? and batch = ?", (sync, batch))

    def outcomes_of(self, sync: str, key: str) -> list[dict[str, object]]:
        """The last outcomes of one key, newest first."""
        cursor = self._connection.execute(
            "select run_id, operation, outcome, reason, recorded_at from outcomes where sync = ? and key = ? "
            "order by recorded_at desc, rowid desc limit 5",
            (sync, key),
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]


def held(history: Mapping[str, Acknowledged]) -> dict[str, str]:
    """Key → row hash of what the destination holds now."""
    return {key: state.row_hash for key, state in history.items() if state.row_hash is not None}


@contextmanager
def open_outbox(settings: Settings) -> Iterator[Outbox]:
    """The outbox of this home, created on first use; readable by its owner only."""
    folder = settings.home / "outbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / "sync.db", timeout=30)
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
        connection.executescript(_SCHEMA)
        yield Outbox(connection)
    finally:
        connection.close()


def _text(at: datetime) -> str:
    return at.isoformat()
