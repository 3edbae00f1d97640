"""Write keys: who may send what. Kept hashed in `C360_HOME/keys/collector.json` (0600); a key is shown once, when made.

A key belongs to one source and has a kind:

* `server`: for back ends. All message types, all identifiers, `/v1/import`. Refused when a browser sends it (Origin).
* `browser`: public by nature, it stands in every page. `track`, `page`, `screen` and `identify` only, each with the
  visitor's own anonymousId; see `rules.py`.

Either can be narrowed to some types, and to event names that it may not send.
"""

import contextlib
import fcntl
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from expectations import contracts
from jobs.core.errors import PermanentError, UsageError
from jobs.core.files import write_durably
from jobs.core.settings import Settings

SECRET_BYTES = 32  # 256 random bits: a plain sha256 is as good as a slow hash
NO_DIGEST = hashlib.sha256(b"").hexdigest()


class KeyKind(StrEnum):
    """Who holds the key: everybody (a page) or a back end."""

    BROWSER = "browser"
    SERVER = "server"


TYPES = {
    KeyKind.BROWSER: ("track", "page", "screen", "identify"),
    KeyKind.SERVER: ("track", "page", "screen", "identify", "group", "alias"),
}


class WriteKey(BaseModel):
    """What is kept of a key. `origins` are the sites a browser key may be used from; empty means this machine's pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    source: str
    kind: KeyKind
    sha256: str
    types: tuple[str, ...]
    server_only: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    created_at: datetime
    revoked_at: datetime | None = None

    @property
    def is_browser(self) -> bool:
        """Whether everybody can read this key in a page."""
        return self.kind is KeyKind.BROWSER

    @property
    def is_unrestricted(self) -> bool:
        """Whether messages need not be looked into to know that they are allowed."""
        return not self.is_browser and not self.server_only and len(self.types) == len(TYPES[KeyKind.SERVER])


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = 1
    keys: list[WriteKey] = Field(default_factory=list)


def key_file(settings: Settings) -> Path:
    """Where the hashes are."""
    return settings.home / "keys" / "collector.json"


def read_keys(settings: Settings) -> list[WriteKey]:
    """All keys, revoked ones too, in the order they were made. Raises PermanentError for a file that is not ours."""
    path = key_file(settings)
    if not path.exists():
        return []
    if path.stat().st_mode & 0o077:
        raise PermanentError(f"{path} is readable by others; run: chmod 600 {path}")
    try:
        return _KeyFile.model_validate_json(path.read_bytes()).keys
    except ValidationError as error:
        raise PermanentError(f"{path} is not a list of write keys; restore it from your backup") from error


def create_key(
    settings: Settings,
    source: str,
    kind: KeyKind,
    now: datetime,
    *,
    types: Sequence[str] = (),
    server_only: Sequence[str] = (),
    origins: Sequence[str] = (),
) -> tuple[WriteKey, str]:
    """Makes a key and returns it with its text, which is kept nowhere."""
    _check_source(source)
    unknown = sorted(set(types) - set(TYPES[kind]))
    if unknown:
        raise UsageError(f"a {kind} key cannot send {', '.join(unknown)}; it can: {', '.join(TYPES[kind])}")
    if origins and kind is KeyKind.SERVER:
        raise UsageError("a server key is for no browser, so it has no origins; use --kind browser")
    identity = secrets.token_hex(6)
    text = f"c360{kind[0]}_{identity}_{secrets.token_hex(SECRET_BYTES)}"
    key = WriteKey(
        id=identity,
        source=source,
        kind=kind,
        sha256=_digest(text),
        types=tuple(t for t in TYPES[kind] if t in (types or TYPES[kind])),
        server_only=tuple(server_only),
        origins=tuple(origins),
        created_at=now,
    )
    with _locked(settings):
        _write(settings, [*read_keys(settings), key])
    return key, text


def revoke_keys(settings: Settings, source: str, now: datetime, *, key_id: str | None = None) -> list[WriteKey]:
    """Revokes the source's keys, or one of them by id; returns those that were valid until now."""
    with _locked(settings):
        keys = read_keys(settings)
        hit = [k for k in keys if k.source == source and k.revoked_at is None and key_id in (None, k.id)]
        if not hit:
            which = f"key {key_id} of" if key_id else "valid key of"
            raise UsageError(f"there is no {which} source {source}; see `c360 collector keys list`")
        _write(settings, [k.model_copy(update={"revoked_at": now}) if k in hit else k for k in keys])
    return hit


class KeyRing:
    """The valid keys, for a running collector; looks at the file again when it has changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, WriteKey] = {}
        self.origins: frozenset[str] = frozenset()
        self.allows_local_pages = False
        self.refresh()

    def refresh(self) -> None:
        """Reads the file if it is another one than before; raises PermanentError when it cannot be used."""
        seen = self._stat()
        if seen == self._seen:
            return
        valid = [key for key in read_keys(self._settings) if key.revoked_at is None]
        browser = [key for key in valid if key.is_browser]
        self._keys = {key.id: key for key in valid}
        self.origins = frozenset(origin for key in browser for origin in key.origins)
        self.allows_local_pages = any(not key.origins for key in browser)
        self._seen = seen

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, text: str) -> WriteKey | None:
        """The valid key of this text; compared in constant time, for unknown ids too."""
        parts = text.split("_")
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        return key if hmac.compare_digest(_digest(text), key.sha256 if key else NO_DIGEST) else None

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = key_file(self._settings).stat()
        except FileNotFoundError:
            return (0, 0, 0)
        return found.st_ino, found.st_mtime_ns, found.st_size


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check_source(source: str) -> None:
    known = [contract.name for contract in contracts.sources().values() if contract.kind == "events"]
    if source not in known:
        raise UsageError(f"{source} is not a source of events; known: {', '.join(known)}")


@contextlib.contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One writer of the key file at a time."""
    folder = key_file(settings).parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".collector.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(settings: Settings, keys: list[WriteKey]) -> None:
    """Replaces the file whole: a reader sees the old keys or the new ones."""
    text = json.dumps(_KeyFile(keys=keys).model_dump(mode="json"), indent=1)
    write_durably(key_file(settings), text + "\n")
