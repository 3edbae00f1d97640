"""Reads what a destination should hold: the rows of the sync's relation, split into those that may be sent and the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.core.definitions import SyncHeader
from jobs.core.errors import PermanentError

# Field name → column that holds its token: such a field is sent as the raw value, revealed from the vault when it is sent.
REVEALED = {"email": "email_token", "phone": "phone_token"}


@dataclass(frozen=True)
class Desired:
    """Rows by key: `rows` may be sent, `withheld` may not (no consent, or suppressed)."""

    rows: Mapping[str, Mapping[str, object]]
    withheld: frozenset[str]


def read_desired(connection: Any, header: SyncHeader, allowed: set[str]) -> Desired:
    """The relation's rows, of the sync's segment if it names one. Raises PermanentError on a missing relation or column,
    a NULL key or a key that comes twice."""
    names = _columns(connection, header)
    rows = _rows(connection, header, names)
    keys = [row[header.key] for row in rows]
    if None in keys or len(set(keys)) < len(keys):
        raise PermanentError(
            f"sync {header.name}: {header.key} is NULL or repeated in {header.relation}; one row per key expected"
        )
    kept = {str(row[header.key]): row for row in rows if row["profile_id"] in allowed}
    fields = {key: {name: row[column] for name, column in header.columns.items()} for key, row in kept.items()}
    return Desired(fields, frozenset(str(key) for key in keys) - kept.keys())


def reveals(header: SyncHeader) -> list[str]:
    """Fields of the sync that are sent as raw values."""
    return [name for name, column in header.columns.items() if REVEALED.get(name) == column]


def _columns(connection: Any, header: SyncHeader) -> list[str]:
    schema, _, table = header.relation.partition(".")
    found = connection.execute(
        "select column_name from information_schema.columns where table_schema = ? and table_name = ?", [schema, table]
    ).fetchall()
    present = {str(row[0]) for row in found}
    # Consent is stated per profile, so every relation must say which profile a row is about.
    wanted = [header.key, "profile_id", *header.columns.values(), *(["segment_name"] if header.segment else [])]
    missing = sorted(set(wanted) - present)
    if missing:
        what = f"lacks {', '.join(missing)}" if present else "is not in the published warehouse"
        raise PermanentError(
            f"sync {header.name}: {header.relation} {what}; repair the dbt model, then: c360 warehouse build"
        )
    return list(dict.fromkeys(wanted))


def _rows(connection: Any, header: SyncHeader, names: list[str]) -> list[dict[str, object]]:
    columns = ", ".join(f'"{name}"' for name in names)
    where = " where segment_name = ?" if header.segment else ""
    cursor = connection.execute(
        f"select {columns} from {header.relation}{where}", [header.segment] if header.segment else []
    )
    return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
