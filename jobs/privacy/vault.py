"""The vault: token → raw value, AES-GCM encrypted with a key outside the lake. Every read is audited first."""

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
from jobs.privacy.keys import load_keys

NONCE_BYTES = 12
_CREATE = (
    "create table if not exists identifiers (token text primary key, nonce blob not null, ciphertext blob not null)"
)


@contextmanager
def _open(settings: Settings) -> Iterator[sqlite3.Connection]:
    path = closed_folder(settings) / "identifiers.db"
    fresh = not path.exists()
    connection = sqlite3.connect(path)
    if fresh:
        path.chmod(0o600)
    try:
        connection.execute(_CREATE)
        with connection:
            yield connection
    finally:
        connection.close()


def store(settings: Settings, pairs: Iterable[tuple[str, str]]) -> int:
    """Keeps (token, normalised value) pairs that are not there yet; returns how many were new. Repeats are harmless."""
    _, key = load_keys(settings)
    cipher = AESGCM(key)
    with _open(settings) as connection:
        before = connection.total_changes
        for token, value in pairs:
            nonce = secrets.token_bytes(NONCE_BYTES)
            # The token is bound to the ciphertext, so that rows cannot be swapped.
            sealed = cipher.encrypt(nonce, value.encode(), token.encode())
            connection.execute("insert or ignore into identifiers values (?, ?, ?)", (token, nonce, sealed))
        return connection.total_changes - before


def reveal(context: Context, tokens: Iterable[str], *, purpose: str) -> dict[str, str]:
    """Raw values of the known tokens. Writes who, why and how many to the audit first; without audit, no answer.

    Raises PermanentError when a stored value does not belong to its token or the key does not fit.
    """
    wanted = list(dict.fromkeys(tokens))
    _, key = load_keys(context.settings)
    audit(context, purpose, tokens=len(wanted))
    cipher = AESGCM(key)
    found: dict[str, str] = {}
    with _open(context.settings) as connection:
        for token in wanted:
            row = connection.execute("select nonce, ciphertext from identifiers where token = ?", (token,)).fetchone()
            if row is None:
                continue
            try:
                found[token] = cipher.decrypt(row[0], row[1], token.encode()).decode()
            except InvalidTag as error:
                raise PermanentError(
                    "a vault entry does not fit its token or key; restore vault and keys together"
                ) from error
    return found
