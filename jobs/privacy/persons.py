"""`person_records` of the vault: what sources say of people, for the matching of records. Encrypted; every read is audited
first.

A record is what one source says under one key: a row of a CRM by its key, an account by a keyed hash of its strongest identifier,
which no rotation changes. It is kept column by column, each by its latest statement, so that the order of arrival makes no
difference.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from expectations.contracts import PERSON_COLUMNS
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.privacy import vault
from jobs.privacy.audit import audit
from jobs.privacy.keys import load_keys

SEPARATOR = "\x1f"
RECORD = "person"  # first part of a record's name, which no token begins with: person, source, object, key
_CREATE = (
    "create table if not exists person_records (record text primary key, nonce blob not null, ciphertext blob not null)"
)
Identifier = tuple[str, str]


@dataclass(frozen=True)
class PersonRecord:
    """`is_account`: what events said under their strongest identifier, and no row with a key of its own. `identifiers` as
    silver has them; `columns` of `PERSON_COLUMNS` that have a value, as they were sent;
    `seen_at` of the latest statement in microseconds since 1970 UTC."""

    record: str
    source: str
    identifiers: tuple[Identifier, ...]
    columns: Mapping[str, str]
    seen_at: int
    is_account: bool


def keep(settings: Settings, pairs: Iterable[tuple[str, str]]) -> None:
    """Stores (token, value) and (record, statement) pairs in one transaction. Repeats are harmless."""
    tokens: list[tuple[str, str]] = []
    said: list[tuple[str, str]] = []
    for name, value in pairs:
        (said if name.startswith(RECORD + SEPARATOR) else tokens).append((name, value))
    if not tokens and not said:
        return
    with vault.open_vault(settings) as connection:
        cipher = vault.cipher_of(settings, connection)
        vault.insert(connection, cipher, tokens)
        connection.execute(_CREATE)
        for record, text in said:
            _write(connection, cipher, record, _merged(_read(connection, cipher, record), _stated(json.loads(text))))


def read(context: Context, *, purpose: str, records: Iterable[str] | None = None) -> list[PersonRecord]:
    """All records, or these, sorted by name. Writes who, why and how many to the audit first; without audit, no answer.

    Raises PermanentError when an entry does not fit its name or the key does not fit.
    """
    load_keys(context.settings)
    with vault.open_vault(context.settings) as connection:
        connection.execute(_CREATE)
        names = [row[0] for row in connection.execute("select record from person_records order by record")]
        wanted = set(names if records is None else records)
        names = [name for name in names if name in wanted]
        audit(context, purpose, person_records=len(names))
        cipher = vault.cipher_of(context.settings, connection)
        return [_shown(name, found) for name in names if (found := _read(connection, cipher, name))]


def require_readable(connection: sqlite3.Connection, cipher: AESGCM) -> None:
    """Raises what `vault.unseal` raises unless every record opens."""
    for record in _names(connection):
        _read(connection, cipher, record)


def reseal(connection: sqlite3.Connection, before: AESGCM, after: AESGCM) -> None:
    """Encrypts all records under another key, within the caller's transaction."""
    for record in _names(connection):
        found = _read(connection, before, record)
        assert found is not None
        _write(connection, after, record, found)


def rename(connection: sqlite3.Connection, cipher: AESGCM, aliases: Mapping[str, str]) -> None:
    """Puts new tokens in the place of old ones, within the caller's transaction."""
    for record in _names(connection):
        found = _read(connection, cipher, record)
        assert found is not None
        pairs = [[kind, aliases.get(value, value)] for kind, value in found["identifiers"]]
        if pairs != found["identifiers"]:
            _write(connection, cipher, record, found | {"identifiers": pairs})


def _names(connection: sqlite3.Connection) -> list[str]:
    connection.execute(_CREATE)
    return [row[0] for row in connection.execute("select record from person_records order by record")]


def _read(connection: sqlite3.Connection, cipher: AESGCM, record: str) -> dict[str, Any] | None:
    row = connection.execute("select nonce, ciphertext from person_records where record = ?", (record,)).fetchone()
    found: dict[str, Any] | None = None if row is None else json.loads(vault.unseal(cipher, record, *row))
    return found


def _write(connection: sqlite3.Connection, cipher: AESGCM, record: str, found: Mapping[str, Any]) -> None:
    sealed = vault.seal(cipher, record, json.dumps(found, sort_keys=True))
    connection.execute("insert or replace into person_records values (?, ?, ?)", sealed)


def _stated(message: Mapping[str, Any]) -> dict[str, Any]:
    """What one message says, in the shape that is kept. A row of a CRM is whole: a column that it leaves out is empty."""
    stamp = [message["at"], message["position"]]
    columns = message.get("columns", {})
    named = PERSON_COLUMNS if message["whole"] else columns
    pairs = [[pair["identifier_type"], pair["identifier_value"]] for pair in message["identifiers"]]
    said = {name: [stamp, columns.get(name)] for name in named}
    return {"identifiers": pairs, "stamp": stamp, "said": said, "whole": message["whole"]}


def _merged(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    if one is None:
        return dict(other)
    newer = max(one, other, key=lambda said: said["stamp"])
    said = dict(one["said"])
    for name, (stamp, value) in other["said"].items():
        said[name] = max(said.get(name, [[], None]), [stamp, value], key=lambda statement: statement[0])
    return {name: newer[name] for name in ("identifiers", "stamp", "whole")} | {"said": said}


def _shown(record: str, found: Mapping[str, Any]) -> PersonRecord:
    return PersonRecord(
        record,
        record.split(SEPARATOR)[1],
        tuple((kind, value) for kind, value in found["identifiers"]),
        {name: value for name, (_, value) in sorted(found["said"].items()) if value},
        int(found["stamp"][0]),
        not found["whole"],
    )
