"""Rotation of a key. Every step can be repeated; the last one, a single commit of `ops_keys`, is the switch.

Tokens: a new key is made, the vault gets an entry under the new token for each one it has, `ops_token_aliases` joins the two
tokens of every value, `profile_identifiers` names each profile by both. Then new messages get new tokens, and whatever
still carries old ones is found for `window_days`; `retirement` ends that. Nothing in the lake is rewritten here.
"""

import logging
from dataclasses import dataclass, replace
from datetime import timedelta

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_changing
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.privacy import persons, vault
from jobs.privacy.aliases import kind_of, write_aliases
from jobs.privacy.audit import audit
from jobs.privacy.key_files import create_key, read_key, remove_key
from jobs.privacy.keys import TokenKey, load_keys
from jobs.privacy.registry import KeyRow, Purpose, Registry, State, name_of
from jobs.privacy.tokens import token_of_normalised

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rotated:
    """What a rotation came to: the two keys as they are recorded now, and how many values have both tokens."""

    old: KeyRow
    new: KeyRow
    values: int


def rotate_tokens(context: Context, *, window_days: int) -> Rotated:
    """Makes and takes into use the next token key; finishes a rotation that a crash has interrupted.

    Raises UsageError while the window of the last rotation is open, RetryableError while a run is at work.
    """
    settings = context.settings
    with tokens_changing(settings):
        load_keys(settings)
        registry = Registry(settings)
        old = registry.active(Purpose.TOKENS)
        opened = registry.of(Purpose.TOKENS, State.WINDOW)
        if old is None or opened:
            raise UsageError(f"key {opened[0].key_name} is not retired yet; run first: c360 privacy keys retire")
        new = _prepared(context, registry, Purpose.TOKENS, old.key_version + 1)
        secret = read_key(settings, new.key_name)
        registry.check(new, secret)
        log.info("%s: the vault learns the new tokens", new.key_name)
        aliases = _extend_vault(context, TokenKey(new.key_version, secret, b""), old.key_version)
        _step(settings)
        write_aliases(settings, aliases)
        _step(settings)
        _add_twins(settings, aliases)
        _step(settings)
        now = context.clock.now()
        old = replace(old, state=State.WINDOW, window_ends_at=now + timedelta(days=window_days))
        new = replace(new, state=State.ACTIVE)
        registry.change([old, new])
        return Rotated(old, new, len(aliases))


def rotate_vault(context: Context) -> Rotated:
    """Encrypts the whole vault anew under the next vault key, in one transaction, and removes the key before it."""
    settings = context.settings
    with tokens_changing(settings):
        load_keys(settings)
        registry = Registry(settings)
        with vault.open_vault(settings) as connection:
            version = vault.key_version(connection)
        # A crash may have come between the vault's own commit and the record of it: then only the rest is left to do.
        waiting = registry.of(Purpose.VAULT, State.PREPARED)
        is_done = bool(waiting) and waiting[0].key_version == version
        new = waiting[0] if is_done else _prepared(context, registry, Purpose.VAULT, version + 1)
        registry.check(new, read_key(settings, new.key_name))
        values = 0 if is_done else _reencrypt(context, new)
        _require_readable(settings)
        _step(settings)
        old = registry.rows[name_of(Purpose.VAULT, new.key_version - 1)]
        old, new = replace(old, state=State.RETIRED, retired_at=context.clock.now()), replace(new, state=State.ACTIVE)
        registry.change([old, new])
        _step(settings)
        remove_key(settings, old.key_name)  # a crash before this: the next start removes it
        return Rotated(old, new, values)


def _require_readable(settings: Settings) -> None:
    """Before the old key goes for good: every value opens with the new one. Raises what `vault.unseal` raises."""
    with vault.open_vault(settings) as connection:
        cipher = vault.cipher_of(settings, connection)
        for row in connection.execute("select token, nonce, ciphertext from identifiers"):
            vault.unseal(cipher, *row)
        persons.require_readable(connection, cipher)


def _step(settings: Settings) -> None:
    fail_at(settings, Failpoint.AFTER_ROTATION_STEP)


def _prepared(context: Context, registry: Registry, purpose: Purpose, version: int) -> KeyRow:
    name = name_of(purpose, version)
    create_key(context.settings, name)
    _step(context.settings)
    row = registry.add(purpose, version, read_key(context.settings, name), state=State.PREPARED, at=context.clock.now())
    _step(context.settings)
    return row


def _extend_vault(context: Context, key: TokenKey, old_version: int) -> dict[str, str]:
    """Old token → new token of every value in the vault, which then knows both."""
    aliases: dict[str, str] = {}
    with vault.open_vault(context.settings) as connection:
        cipher = vault.cipher_of(context.settings, connection)
        select = "select token, nonce, ciphertext from identifiers where token glob ?"
        rows = connection.execute(select, (f"*_v{old_version}_*",)).fetchall()
        audit(context, "keys:rotate", tokens=len(rows))
        values: list[tuple[str, str]] = []
        for token, nonce, ciphertext in rows:
            value, kind = vault.unseal(cipher, token, nonce, ciphertext), kind_of(token)
            aliases[token] = token_of_normalised(kind, value, key)
            values.append((aliases[token], value))
        vault.insert(connection, cipher, values)
    return aliases


def _add_twins(settings: Settings, aliases: dict[str, str]) -> None:
    """Each profile that is known by an old token is known by the new one at once: nobody waits for the next identity run."""
    table = delta.read(settings, "profile_identifiers")
    rows = table.to_pylist()
    there = {row["identifier_value"] for row in rows}
    twins = [
        row | {"identifier_value": aliases[row["identifier_value"]]}
        for row in rows
        if row["identifier_value"] in aliases and aliases[row["identifier_value"]] not in there
    ]
    if twins:
        schema = arrow_schema(lake_table("profile_identifiers").contract)
        delta.append(settings, "profile_identifiers", pa.Table.from_pylist(twins, schema=schema))


def _reencrypt(context: Context, new: KeyRow) -> int:
    with vault.open_vault(context.settings) as connection:
        before = vault.cipher_of(context.settings, connection)
        rows = connection.execute("select token, nonce, ciphertext from identifiers").fetchall()
        audit(context, "keys:rotate", tokens=len(rows))
        connection.execute("begin immediate")  # Python opens none for a pragma: the version would stand before the rows
        connection.execute(f"pragma user_version = {new.key_version:d}")
        after = vault.cipher_of(context.settings, connection)
        sealed = (vault.seal(after, row[0], vault.unseal(before, *row)) for row in rows)
        connection.executemany("insert or replace into identifiers values (?, ?, ?)", sealed)
        persons.reseal(connection, before, after)
    return len(rows)
