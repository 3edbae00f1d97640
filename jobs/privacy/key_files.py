"""Secret keys on disk: 32 random bytes each, mode 0600, in `keys/`, outside the lake; only paths are printed."""

import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

from jobs.core.errors import PermanentError
from jobs.core.files import sync
from jobs.core.settings import Settings

log = logging.getLogger(__name__)
KEY_BYTES = 32
MIN_DISTINCT_BYTES = 12  # 32 random bytes have 24 or more in all but one of 10^9 cases; a typed or zeroed key has few


def key_path(settings: Settings, name: str) -> Path:
    """Where the key `name` lives."""
    return settings.home / "keys" / f"{name}.key"


def create_key(settings: Settings, name: str, secret: bytes | None = None) -> Path:
    """Writes a fresh key (or `secret`), on disk before it returns. A key that is there already is left alone."""
    path = key_path(settings, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    if path.exists():
        return path
    partial = path.with_suffix(f".{os.getpid()}.new")  # a crash must not leave half a key under its name
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret or secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path)  # the first of two processes wins
    except FileExistsError:
        log.info("%s was made by another process", path)
    finally:
        partial.unlink()
    sync(path.parent)
    log.info("new key written to %s", path)
    return path


def read_key(settings: Settings, name: str) -> bytes:
    """The key's bytes. Raises PermanentError when it is gone, or its length, content or permissions are not ours."""
    path = key_path(settings, name)
    if not path.exists():
        raise PermanentError(
            f"key {path} is missing but there is data made with it; restore the key, or delete {settings.home}"
        )
    data = path.read_bytes()
    if len(data) != KEY_BYTES:
        raise PermanentError(f"key {path} has {len(data)} bytes, expected {KEY_BYTES}; restore it from your backup")
    if len(set(data)) < MIN_DISTINCT_BYTES:
        raise PermanentError(f"key {path} is not random; restore it from your backup: keys are made by c360 alone")
    if path.stat().st_mode & 0o077:
        raise PermanentError(f"key {path} is readable by others; run: chmod 600 {path}")
    return data


def newest_version(settings: Settings, purpose: str) -> int:
    """The greatest version of a purpose's key on disk; 1 when there is none."""
    found = (settings.home / "keys").glob(f"{purpose}_v*.key")
    return max((int(path.stem.removeprefix(f"{purpose}_v")) for path in found), default=1)


def remove_key(settings: Settings, name: str) -> None:
    """Removes the file for good; harmless when it is gone."""
    path = key_path(settings, name)
    path.unlink(missing_ok=True)
    sync(path.parent)


def fingerprint_of(secret: bytes) -> str:
    """What the lake may know of a key: equal keys have equal ones, and no key can be had from it."""
    return hmac.new(secret, b"c360 key fingerprint", hashlib.sha256).hexdigest()[:32]
