"""Which keys there are and what becomes of them: table `ops_keys`. Their fingerprints stand in the lake, so that a lake is
never written with a key that is not its own."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.privacy.key_files import fingerprint_of, key_path

TABLE = "ops_keys"


class Purpose(StrEnum):
    """What is made with a key."""

    TOKENS = "tokens"
    VAULT = "vault"
    FINGERPRINTS = "fingerprints"


class State(StrEnum):
    """Where a key stands in its life."""

    PREPARED = "prepared"
    ACTIVE = "active"
    WINDOW = "window"
    RETIRED = "retired"


@dataclass(frozen=True)
class KeyRow:
    """One row of `ops_keys`."""

    key_name: str
    purpose: str
    key_version: int
    state: str
    fingerprint: str
    created_at: datetime
    window_ends_at: datetime | None = None
    retired_at: datetime | None = None


def name_of(purpose: Purpose, version: int) -> str:
    """Name of the key file, without its suffix."""
    return f"{purpose}_v{version}"


class Registry:
    """The rows as read once, and the ways to change them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows = {row["key_name"]: KeyRow(**row) for row in delta.read(settings, TABLE).to_pylist()}

    def of(self, purpose: Purpose, *states: State) -> list[KeyRow]:
        """Keys of a purpose in these states (any, if none is named), lowest version first."""
        found = [row for row in self.rows.values() if row.purpose == purpose and (not states or row.state in states)]
        return sorted(found, key=lambda row: row.key_version)

    def active(self, purpose: Purpose) -> KeyRow | None:
        """The key in use; None before the first."""
        return next(iter(self.of(purpose, State.ACTIVE)), None)

    def add(self, purpose: Purpose, version: int, secret: bytes, *, state: State, at: datetime) -> KeyRow:
        """Records a key; a second record of the same name changes nothing."""
        row = KeyRow(name_of(purpose, version), purpose, version, state, fingerprint_of(secret), at)
        delta.append(self.settings, TABLE, _table([row]), app_id=f"key:{row.key_name}")
        return self.rows.setdefault(row.key_name, row)

    def change(self, rows: Iterable[KeyRow]) -> None:
        """Sets these rows, all in one commit."""
        changed = list(rows)
        delta.update(self.settings, TABLE, _table(changed), key="key_name")
        self.rows |= {row.key_name: row for row in changed}

    def check(self, row: KeyRow, secret: bytes) -> None:
        """Raises PermanentError when the key on disk is not the one that the lake knows."""
        if fingerprint_of(secret) != row.fingerprint:
            raise PermanentError(
                f"key {key_path(self.settings, row.key_name)} is not the one this lake was written with (its fingerprint "
                "differs); restore that key from your backup. A key is changed by: c360 privacy keys rotate"
            )


def _table(rows: list[KeyRow]) -> pa.Table:
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=arrow_schema(lake_table(TABLE).contract))
