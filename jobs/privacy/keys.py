"""The keys that a run works with: made together at first start, checked against the lake's record at every start.

`tokens_v<n>` makes tokens and can be rotated. `vault_v<n>` encrypts the vault. `fingerprints_v1` makes the hashes that must
stay comparable for ever (repeats of an event, ids made of vendors' fields, row hashes of a sync): from it no token follows.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from jobs.core.clock import Clock
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.privacy.key_files import create_key, key_path, newest_version, read_key, remove_key
from jobs.privacy.registry import Purpose, Registry, State, name_of

__all__ = ["TokenKey", "key_path", "load_keys", "load_token_key"]


@dataclass(frozen=True)
class TokenKey:
    """The key of today's tokens with its version, and the key of fingerprints, which never changes."""

    version: int
    secret: bytes = field(repr=False)
    stable: bytes = field(repr=False)


def load_keys(settings: Settings) -> tuple[TokenKey, bytes]:
    """(token key, vault key). Makes the first ones when neither they nor anything made with them exist yet.

    Raises PermanentError when a key is gone, equal to another, or not the one that the lake was written with.
    """
    registry = Registry(settings)
    if any(not registry.of(purpose) for purpose in Purpose):
        _make_first(settings)
        _adopt(settings, registry)
    for purpose in Purpose:
        for row in registry.of(purpose, State.RETIRED):  # left by a crash, or brought back by somebody's backup
            if key_path(settings, row.key_name).exists():
                remove_key(settings, row.key_name)
    secrets = {purpose: _checked(settings, registry, purpose) for purpose in Purpose}
    found = [secret for _, secret in secrets.values()]
    if len(set(found)) < len(found):
        raise PermanentError(f"two keys in {settings.home / 'keys'} are equal; restore them from your backup")
    version, secret = secrets[Purpose.TOKENS]
    return TokenKey(version, secret, secrets[Purpose.FINGERPRINTS][1]), secrets[Purpose.VAULT][1]


def load_token_key(settings: Settings) -> TokenKey:
    """The key of today's tokens; see `load_keys`."""
    return load_keys(settings)[0]


def _make_first(settings: Settings) -> None:
    """The first keys, unless there is data that was made with others."""
    names = [name_of(purpose, 1) for purpose in Purpose]
    vault, folder = settings.home / "vault", settings.home / "keys"
    ours = [path for purpose in Purpose for path in folder.glob(f"{purpose}_v*.key")]  # Airflow keeps keys there too
    if ours or (vault.exists() and any(vault.iterdir())):
        return
    for name in names:
        create_key(settings, name)


def _adopt(settings: Settings, registry: Registry) -> None:
    """Records the keys that stand on disk and are not recorded: fresh ones, those of a home from before there was a record,
    those of a lake that was deleted to be built anew (then the newest of each purpose)."""
    if not key_path(settings, name_of(Purpose.FINGERPRINTS, 1)).exists() and not registry.of(Purpose.FINGERPRINTS):
        tokens = read_key(settings, name_of(Purpose.TOKENS, 1))
        made = hmac.new(tokens, b"c360 fingerprints", hashlib.sha256).digest()
        create_key(settings, name_of(Purpose.FINGERPRINTS, 1), made)
    for purpose in Purpose:
        if not registry.of(purpose):
            version = newest_version(settings, purpose)
            secret = read_key(settings, name_of(purpose, version))
            registry.add(purpose, version, secret, state=State.ACTIVE, at=Clock(settings.now).now())


def _checked(settings: Settings, registry: Registry, purpose: Purpose) -> tuple[int, bytes]:
    row = registry.active(purpose)
    if row is None:
        raise PermanentError(f"ops_keys names no active key of {purpose}; restore the lake from your backup")
    secret = read_key(settings, row.key_name)
    registry.check(row, secret)
    return row.key_version, secret
