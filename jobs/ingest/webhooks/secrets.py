"""The secrets of webhooks: one per vendor and source, in `C360_HOME/keys/webhook.<vendor>.<source>.key` (0600)."""

import secrets
from pathlib import Path

from expectations import contracts
from jobs.core.errors import PermanentError, UsageError
from jobs.core.files import write_durably
from jobs.core.settings import Settings
from jobs.ingest.webhooks import vendors
from jobs.ingest.webhooks.base import open_vendor

TOKEN_BYTES = 32


def read_secret(settings: Settings, vendor: str, source: str) -> bytes | None:
    """The secret, None when there is none or no such vendor or source. Raises PermanentError when others can read it."""
    if vendor not in vendors.names() or source not in contracts.sources():
        return None  # names from a URL never become a path
    path = _path(settings, vendor, source)
    try:
        if path.stat().st_mode & 0o077:
            raise PermanentError(f"{path} is readable by others; run: chmod 600 {path}")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_secret(settings: Settings, vendor: str, source: str, secret: bytes) -> Path:
    """Keeps the secret in place of an older one, on disk when this returns. Raises UsageError when it can be none."""
    _check_source(source)
    open_vendor(vendor).check_secret(secret)
    path = _path(settings, vendor, source)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_durably(path, secret)
    return path


def new_token() -> bytes:
    """A secret for a vendor that leaves it to us: 256 random bits that stand in a URL as they are."""
    return secrets.token_urlsafe(TOKEN_BYTES).encode("ascii")


def list_secrets(settings: Settings) -> list[tuple[str, str]]:
    """(vendor, source) of all secrets."""
    names = (path.name.split(".") for path in sorted((settings.home / "keys").glob("webhook.*.*.key")))
    return [(vendor, source) for _, vendor, source, _ in names]


def remove_secret(settings: Settings, vendor: str, source: str) -> None:
    """Forgets the secret, so that the address is gone. Raises UsageError when there is none."""
    if (vendor, source) not in list_secrets(settings):
        known = ", ".join("/".join(pair) for pair in list_secrets(settings))
        raise UsageError(f"there is no secret for {vendor}/{source}; there are: {known or 'none'}")
    _path(settings, vendor, source).unlink()


def _path(settings: Settings, vendor: str, source: str) -> Path:
    return settings.home / "keys" / f"webhook.{vendor}.{source}.key"


def _check_source(source: str) -> None:
    known = [contract.name for contract in contracts.sources().values() if contract.kind == "events"]
    if source not in known:
        raise UsageError(f"{source} is not a source of events; known: {', '.join(known)}")
