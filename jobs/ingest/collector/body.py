"""Reads a request's body within its limits, and gunzips it without ever holding more than allowed."""

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jobs.core.settings import Settings
from jobs.ingest.collector.replies import Code, RefusedError
from jobs.ingest.reasons import Reason

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
GZIP_WINDOW = 31
# The rest of a body that is refused is read and dropped until the deadline, so that its sender gets to read the answer;
# not so one of more than this many times the limit.
SWALLOWED = 16
ROOM_RETRY_SECONDS = 5.0


class ClientGoneError(Exception):
    """The sender hung up, or was cut off for being slow; there is nobody to answer."""


class NotGzipError(ValueError):
    """The body is announced as gzip and is not (`reason`): it is kept as it came."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class Room:
    """Bytes of bodies that are still arriving, of all requests together: slow senders may not fill the memory."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def take(self, size: int) -> None:
        """Raises RefusedError(unavailable) when there is no room for as many more."""
        if size > self._left:
            raise RefusedError(Code.UNAVAILABLE, retry_after=ROOM_RETRY_SECONDS)
        self._left -= size

    def give_back(self, size: int) -> None:
        """After a body has come or is given up."""
        self._left += size


async def read_body(receive: Receive, declared: bytes | None, limit: int, room: Room) -> bytes:
    """The bytes of the wire. Raises RefusedError(body_limit), at once when the length is declared, else when passed."""
    if declared is not None and int(declared) > limit:
        raise RefusedError(Code.BODY_LIMIT, close=int(declared) > limit * SWALLOWED)
    body = bytearray()
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece: bytes = message["body"]
            if len(body) + len(piece) > limit:
                raise RefusedError(Code.BODY_LIMIT)
            if not message["more_body"]:
                return bytes(body + piece) if body else piece
            room.take(len(piece))
            body += piece
    finally:
        room.give_back(len(body))


def plain_body(body: bytes, encodings: list[bytes], settings: Settings) -> bytes:
    """The body as the sender wrote it. Raises RefusedError for other or several encodings, NotGzipError for damage."""
    names = [name.strip().lower() for value in encodings for name in value.split(b",")]
    wanted = [name for name in names if name not in (b"", b"identity")]
    if not wanted:
        return body
    if wanted not in ([b"gzip"], [b"x-gzip"]):
        raise RefusedError(Code.UNSUPPORTED_ENCODING)
    return _gunzip(body, settings.collector_inflated_bytes)


def _gunzip(body: bytes, limit: int) -> bytes:
    """One gzip member, stopped one byte after the limit: a bomb costs no more than an honest body."""
    stream = zlib.decompressobj(GZIP_WINDOW)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise NotGzipError(Reason.WRONG_FORMAT) from error
    if len(plain) > limit:
        raise RefusedError(Code.INFLATE_LIMIT)
    if not stream.eof:
        raise NotGzipError(Reason.TRUNCATED if body else Reason.EMPTY)
    if stream.unused_data:
        raise NotGzipError(Reason.WRONG_FORMAT)
    return plain
