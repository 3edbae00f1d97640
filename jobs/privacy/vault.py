"""The vault: token → raw value, AES-GCM encrypted with a key outside the lake. Every read is audited first.

The file says itself which version of the vault key it is encrypted with (SQLite's `user_version`; 0 is 1), so that a
rotation of that key is one transaction.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.privacy.audit import audit, closed_folder
from jobs.privacy.key_files import read_key
from jobs.privacy.keys import load_keys
from jobs.privacy.registry import Purpose, name_of

NONCE_BYTES = 12
_CREATE = (
    "create table if not exists identifiers (token text primary key, nonce blob not null, ciphertext blob not null)"
)


@contextmanager
def open_vault(settings: Settings) -> Iterator[sqlite3.Connection]:
    """The vault's database in one transaction; what is deleted is overwritten. The first opening makes the keys."""
    path = settings.home / "vault" / "identifiers.db"
    if not path.exists():
        load_keys(settings)
        closed_folder(settings)
        path.touch(mode=0o600)
    connection = sqlite3.connect(path)
    try:
        connection.execute("pragma secure_delete = on")
        connection.execute(_CREATE)
        with connection:
            yield connection
    finally:
        connection.close()


def cipher_of(settings: Settings, connection: sqlite3.Connection) -> AESGCM:
    """The cipher of the key that the file is encrypted with."""
    return AESGCM(read_key(settings, name_of(Purpose.VAULT, key_version(connection))))


def key_version(connection: sqlite3.Connection) -> int:
    """Version of the vault key that the file is encrypted with."""
    return int(connection.execute("pragma user_version").fetchone()[0]) or 1


def store(settings: Settings, pairs: Iterable[tuple[str, str]]) -> int:
    """Keeps (token, normalised value) pairs that are not there yet; returns how many were new. Repeats are harmless."""
    with open_vault(settings) as connection:
        return insert(connection, cipher_of(settings, connection), pairs)


def insert(connection: sqlite3.Connection, cipher: AESGCM, pairs: Iterable[tuple[str, str]]) -> int:
    """As `store`, within the caller's transaction."""
    before = connection.total_changes
    connection.executemany(
        "insert or ignore into identifiers values (?, ?, ?)", (seal(cipher, token, value) for token, value in pairs)
    )
    return connection.total_changes - before


def seal(cipher: AESGCM, token: str, value: str) -> tuple[str, bytes, bytes]:
    """One row of the vault."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    # The token is bound to the ciphertext, so that rows cannot be swapped.
    return token, nonce, cipher.encrypt(nonce, value.encode(), token.encode())


def unseal(cipher: AESGCM, token: str, nonce: bytes, ciphertext: bytes) -> str:
    """The value; raises PermanentError when it does not belong to its token or the key does not fit."""
    try:
        return cipher.decrypt(nonce, ciphertext, token.encode()).decode()
    except InvalidTag as error:
        raise PermanentError("a vault entry does not fit its token or key; restore vault and keys together") from error


def reveal(context: Context, tokens: Iterable[str], *, purpose: str) -> dict[str, str]:
    """Raw values of the known tokens. Writes who, why and how many to the audit first; without audit, no answer.

    Raises PermanentError when a stored value does not belong to its token or the key does not fit.
    """
    wanted = list(dict.fromkeys(tokens))
    load_keys(context.settings)
    audit(context, purpose, tokens=len(wanted))
    found: dict[str, str] = {}
    with open_vault(context.settings) as connection:
        cipher = cipher_of(context.settings, connection)
        for token in wanted:
            row = connection.execute("select nonce, ciphertext from identifiers where token = ?", (token,)).fetchone()
            if row is not None:
                found[token] = unseal(cipher, token, *row)
    return found
