"""Secret keys: made at first start, 32 random bytes each, mode 0600, kept outside the lake; only paths are printed."""

import logging
import os
import secrets
from pathlib import Path

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings

log = logging.getLogger(__name__)
KEY_BYTES = 32
TOKEN_KEY_VERSION = 1


def key_path(settings: Settings, name: str) -> Path:
    """Where the key `name` lives."""
    return settings.home / "keys" / f"{name}.key"


def load_or_create_key(settings: Settings, name: str) -> bytes:
    """The key's bytes. Creates it when neither it nor anything made with it exists yet.

    Raises PermanentError when the key is gone while a vault stands (a new key would orphan every token), or when its
    length or permissions are not what we wrote.
    """
    path = key_path(settings, name)
    if not path.exists():
        if (settings.home / "vault").exists() and any((settings.home / "vault").iterdir()):
            raise PermanentError(
                f"key {path} is missing but a vault exists; restore the key, or delete {settings.home}"
            )
        _create(path)
    data = path.read_bytes()
    if len(data) != KEY_BYTES:
        raise PermanentError(f"key {path} has {len(data)} bytes, expected {KEY_BYTES}; restore it from your backup")
    if path.stat().st_mode & 0o077:
        raise PermanentError(f"key {path} is readable by others; run: chmod 600 {path}")
    return data


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    log.info("new key written to %s", path)


def load_keys(settings: Settings) -> tuple[bytes, bytes]:
    """(token key, vault key). Both are made together, before the vault is."""
    paths = [key_path(settings, name) for name in ("tokens_v1", "vault_v1")]
    if not any(path.exists() for path in paths) and not (settings.home / "vault").exists():
        for path in paths:
            _create(path)
    return load_or_create_key(settings, "tokens_v1"), load_or_create_key(settings, "vault_v1")
