"""Who is asking: the write key of a request, and the sites (CORS) that may use it."""

import base64
import binascii
import logging
import re
from dataclasses import dataclass, field

from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.collector.keys import KeyRing, WriteKey
from jobs.ingest.collector.replies import Code, Header, RefusedError, Reply

log = logging.getLogger(__name__)
KEY_IN_QUERY = re.compile(rb"(^|&)\s*(write_?key|api_?key|key)=", re.IGNORECASE)
LOCAL_PAGE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
ANY_SITE = "*"
KEYS_RETRY_SECONDS = 5.0
PREFLIGHT: list[Header] = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
    (b"access-control-max-age", b"600"),
]


@dataclass(slots=True)
class Heads:
    """The request headers that the door reads."""

    authorization: bytes | None = None
    content_length: bytes | None = None
    content_encoding: list[bytes] = field(default_factory=list)
    origin: str | None = None
    user_agent: str = ""
    gpc: bool = False
    expects_continue: bool = False

    @classmethod
    def of(cls, headers: list[Header]) -> "Heads":
        """Picks them out; names are lower case by then."""
        found = cls()
        for name, value in headers:
            if name == b"authorization":
                found.authorization = value
            elif name == b"content-length":
                found.content_length = value
            elif name == b"user-agent":
                found.user_agent = value.decode("latin-1")
            elif name == b"content-encoding":
                found.content_encoding.append(value)
            elif name == b"origin":
                found.origin = value.decode("latin-1")
            elif name == b"sec-gpc":
                found.gpc = value.strip() == b"1"
            elif name == b"expect":
                found.expects_continue = True
        return found


class Access:
    """The keys of a running collector, and what follows from them for a request."""

    def __init__(self, settings: Settings) -> None:
        self._ring = KeyRing(settings)
        self._is_usable = True

    def __len__(self) -> int:
        return len(self._ring)

    def refresh(self) -> None:
        """Notices new and revoked keys. While their file cannot be used nothing is taken, for a key may be revoked in it."""
        try:
            self._ring.refresh()
        except (PermanentError, OSError) as error:
            if self._is_usable:
                log.error("write keys: %s; answering 503 until then", error)
            self._is_usable = False
        else:
            self._is_usable = True

    def by_header(self, heads: Heads) -> WriteKey | None:
        """The key of the Authorization header; None when there is none. RefusedError(invalid_write_key) for a bad one."""
        if heads.authorization is None:
            return None
        return self.by_text(_basic_user(heads.authorization), heads)

    def by_text(self, text: str | None, heads: Heads) -> WriteKey:
        """The valid key of this text, used from a site that may. Raises RefusedError."""
        if not self._is_usable:
            raise RefusedError(Code.UNAVAILABLE, retry_after=KEYS_RETRY_SECONDS)
        key = self._ring.find(text) if text else None
        if key is None:
            raise RefusedError(Code.INVALID_WRITE_KEY)
        if heads.origin is not None and not _may_use(key, heads.origin):
            raise RefusedError(Code.ORIGIN_NOT_ALLOWED)
        return key

    def preflight(self, heads: Heads) -> Reply:
        """The answer to a browser that asks before it sends; the key is not known yet, so any key's sites count."""
        if heads.origin is None or not self._knows(heads.origin):
            raise RefusedError(Code.ORIGIN_NOT_ALLOWED)
        return Reply(204, "preflight", list(PREFLIGHT), b"")

    def cors(self, heads: Heads) -> list[Header]:
        """Headers that let the page read the answer."""
        if heads.origin is None or not self._knows(heads.origin):
            return []
        return [
            (b"access-control-allow-origin", heads.origin.encode("latin-1")),
            (b"access-control-expose-headers", b"retry-after"),
            (b"vary", b"origin"),
        ]

    def _knows(self, origin: str) -> bool:
        ring = self._ring
        return (
            origin in ring.origins
            or ANY_SITE in ring.origins
            or (ring.allows_local_pages and LOCAL_PAGE.fullmatch(origin) is not None)
        )


def refuse_key_in_query(query: bytes) -> None:
    """A key in the URL ends up in every log on the way: RefusedError(key_in_query)."""
    if query and KEY_IN_QUERY.search(query):
        raise RefusedError(Code.KEY_IN_QUERY)


def _may_use(key: WriteKey, origin: str) -> bool:
    if not key.is_browser:
        return False
    if not key.origins:
        return LOCAL_PAGE.fullmatch(origin) is not None
    return origin in key.origins or ANY_SITE in key.origins


def _basic_user(value: bytes) -> str | None:
    """The user of Basic authentication with an empty password; None for anything else."""
    scheme, _, encoded = value.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded.strip(), validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user if not password else None
