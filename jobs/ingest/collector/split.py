"""Takes a request body apart into messages, each one's text exactly as it was sent. Pure.

The door judges only what it must: can the body be taken apart, and is each message text of bearable size and depth. All
else (numbers, duplicate keys, contracts, consent) is judged by the stream on the same text.
"""

import base64
import json
import re
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from jobs.ingest.collector.scan import (
    DuplicateMemberError,
    Scanned,
    TooManyElementsError,
    UnsplittableError,
    is_deeper,
    scan,
)
from jobs.ingest.landing.log import LINE_LIMIT
from jobs.ingest.reasons import Reason

UTF8_MARK = b"\xef\xbb\xbf"
MISSING = Raw(b"")
LINE_SLACK = 2**20
NOTHING_BYTES = 64
BETWEEN = b", \t\r\n"
OPENING = re.compile(rb'"batch"\s*:\s*\[')
NOTHING = (b"null", b"{}", b"[]", b'""', b"0")


class Fields(msgspec.Struct):
    """What the door may need to know of a message, each as its raw JSON text."""

    writeKey: Raw = MISSING  # noqa: N815 - Segment's names
    type: Raw = MISSING
    event: Raw = MISSING
    userId: Raw = MISSING  # noqa: N815
    user_id: Raw = MISSING
    anonymousId: Raw = MISSING  # noqa: N815
    anonymous_id: Raw = MISSING
    loyaltyId: Raw = MISSING  # noqa: N815
    context: Raw = MISSING


class Envelope(msgspec.Struct):
    """A batch request, its messages untouched."""

    batch: list[Raw] | msgspec.UnsetType = msgspec.UNSET
    writeKey: Raw = MISSING  # noqa: N815
    context: Raw = MISSING
    integrations: Raw = MISSING
    sentAt: Raw = MISSING  # noqa: N815


@dataclass(frozen=True)
class Limits:
    """What a body may hold at most; see the settings `collector_*`."""

    depth: int
    message_bytes: int
    batch_messages: int


@dataclass(slots=True)
class Part:
    """One message: its text (or `base64:…`), and what is wrong with it already."""

    payload: str
    error: Reason | None = None


@dataclass(slots=True)
class Split:
    """A body taken apart. `error` says that it could not be: then the one part is all of it, or there is none (empty)."""

    parts: list[Part] = field(default_factory=list)
    error: Reason | None = None
    write_key: str | None = None
    context: str | None = None
    integrations: str | None = None
    sent_at: str | None = None


_FIELDS = msgspec.json.Decoder(Fields)
_ENVELOPE = msgspec.json.Decoder(Envelope)
_TEXT = msgspec.json.Decoder(str)


def split_single(body: bytes, limits: Limits) -> Split:
    """The body of /v1/track and its like: it is the message."""
    try:
        write_key: Raw | bytes = _FIELDS.decode(body).writeKey
    except RecursionError:
        return unsplittable(body, Reason.TOO_DEEP)
    except msgspec.DecodeError:
        found = _scanned(body, limits, is_batch=False)
        if isinstance(found, Reason):
            return unsplittable(body, found)
        write_key = found.members.get(b"writeKey", b"")
    if _is_nothing(body):
        return Split(error=Reason.EMPTY)
    return Split([_part(body, limits)], write_key=text_of(write_key))


def split_batch(body: bytes, limits: Limits) -> Split:
    """The body of /v1/batch and /v1/import. Raises TooManyElementsError: then nothing of it is taken."""
    try:
        found = _ENVELOPE.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return _split_broken_batch(body, limits)
    if found.batch is msgspec.UNSET:
        return Split(error=Reason.EMPTY) if _is_nothing(body) else _no_batch(body, found.writeKey, limits)
    if len(found.batch) > limits.batch_messages:
        raise TooManyElementsError
    around = _around(body, found.batch)
    if not around or _fault(around):
        return _split_broken_batch(body, limits)
    return _split_envelope(found.batch, found, limits)


def _split_broken_batch(body: bytes, limits: Limits) -> Split:
    found = _scanned(body, limits, is_batch=True)
    if isinstance(found, Reason):
        return unsplittable(body, found)
    get = found.members.get
    if found.elements is None:
        return _no_batch(body, get(b"writeKey", b""), limits)
    envelope = Envelope(
        writeKey=Raw(get(b"writeKey", b"")),
        context=Raw(get(b"context", b"")),
        integrations=Raw(get(b"integrations", b"")),
        sentAt=Raw(get(b"sentAt", b"")),
    )
    fault = _fault(envelope.context)
    if fault:
        whole = unsplittable(body, fault)
        whole.write_key = text_of(envelope.writeKey)
        return whole
    return _split_envelope(found.elements, envelope, limits)


def _scanned(body: bytes, limits: Limits, *, is_batch: bool) -> Scanned | Reason:
    """A body that does not parse, taken apart by its brackets; or why it is no object."""
    reason = _whole_reason(body, limits)
    if reason is not None:
        return reason
    try:
        return scan(body, limits.batch_messages if is_batch else None)
    except DuplicateMemberError:
        return Reason.DUPLICATE_KEY
    except UnsplittableError:
        return Reason.TOO_DEEP if is_deeper(body, limits.depth) else Reason.MALFORMED_JSON


def _around(body: bytes, messages: list[Raw]) -> bytes:
    """The envelope with its messages taken out; empty when it is not plain where they stand."""
    opening = OPENING.search(body)
    if opening is None or body.count(b'"batch"') != 1:
        return b""
    at = opening.end()
    for message in messages:
        raw = bytes(message)
        found = body.find(raw, at)
        if found < 0 or body[at:found].strip(BETWEEN):
            return b""
        at = found + len(raw)
    return body[: opening.end()] + body[at:]


def _fault(text: bytes | Raw) -> Reason | None:
    """What is wrong with the text around the messages: two members of one name (a parser would keep the last), or no JSON."""
    doubled: list[bool] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        doubled.append(len({name for name, _ in pairs}) < len(pairs))

    if not text:
        return None
    try:
        json.loads(bytes(text), object_pairs_hook=note, parse_int=str)
    except (ValueError, RecursionError):
        return Reason.MALFORMED_JSON
    return Reason.DUPLICATE_KEY if any(doubled) else None


def _split_envelope(messages: list[Raw] | list[bytes], envelope: Envelope, limits: Limits) -> Split:
    return Split(
        [_part(bytes(message), limits) for message in messages],
        error=None if messages else Reason.EMPTY,
        write_key=text_of(envelope.writeKey),
        context=_json_text(envelope.context),
        integrations=_json_text(envelope.integrations),
        sent_at=text_of(envelope.sentAt),
    )


def _no_batch(body: bytes, write_key: Raw | bytes, limits: Limits) -> Split:
    """An object without an array of messages: kept whole, so that a person can see what the sender does."""
    found = unsplittable(body, Reason.TOO_DEEP if is_deeper(body, limits.depth) else Reason.WRONG_FORMAT)
    found.write_key = text_of(write_key)
    return found


def _is_nothing(body: bytes) -> bool:
    """Whether the body says nothing: no bytes, spaces, null, 0, or something empty."""
    return not body.strip() or (len(body) < NOTHING_BYTES and b"".join(body.split()) in NOTHING)


def _whole_reason(body: bytes, limits: Limits) -> Reason | None:
    """Why a body that does not parse is no object at all; None when it may be a broken one."""
    if _is_nothing(body):
        return Reason.EMPTY
    text = body.strip()
    if text[:1] == b"{":
        return None
    if not is_text(body):
        return Reason.INVALID_ENCODING
    if is_deeper(text, limits.depth):
        return Reason.TOO_DEEP
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return Reason.MALFORMED_JSON
    return Reason.NOT_AN_OBJECT


def unsplittable(body: bytes, reason: Reason) -> Split:
    """The body as one message with its reason; none for an empty one. Bytes that are no text outrank the reason."""
    if reason is Reason.EMPTY:
        return Split(error=reason)
    if not is_text(body):
        kept = reason if reason in (Reason.TRUNCATED, Reason.WRONG_FORMAT) else Reason.INVALID_ENCODING
        return Split([Part(as_base64(body), kept)], error=kept)
    return Split([Part(_kept(body, body.decode()), reason)], error=reason)


def is_text(raw: bytes) -> bool:
    """Whether the bytes are plain UTF-8: no byte order mark, and no NUL, which engines cannot keep."""
    if b"\x00" in raw or raw.startswith(UTF8_MARK):
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def as_base64(raw: bytes) -> str:
    """How bytes that are no text are kept."""
    return "base64:" + base64.b64encode(raw).decode("ascii")


def _kept(raw: bytes, text: str) -> str:
    """The text, or base64 where quoting would blow it up beyond a line of the landing log (control characters)."""
    is_bulky = len(raw) > LINE_LIMIT // 8 and len(msgspec.json.encode(text)) > LINE_LIMIT - LINE_SLACK
    return as_base64(raw) if is_bulky else text


def _part(raw: bytes, limits: Limits) -> Part:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return Part(as_base64(raw), Reason.INVALID_ENCODING)
    if b"\x00" in raw or raw.startswith(UTF8_MARK):
        return Part(as_base64(raw), Reason.INVALID_ENCODING)
    if len(raw) > limits.message_bytes:
        return Part(_kept(raw, text), Reason.TOO_LONG)
    if is_deeper(raw, limits.depth):
        return Part(text, Reason.TOO_DEEP)
    return Part(text)


def fields_of(payload: str) -> Fields | None:
    """The fields of a message as its strict parse gives them; None when it has none, which the stream will judge."""
    try:
        return _FIELDS.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def text_of(raw: Raw | bytes) -> str | None:
    """The text of a JSON string; None for anything else."""
    data = bytes(raw)
    if not data.startswith(b'"'):
        return None
    try:
        return _TEXT.decode(data)
    except msgspec.DecodeError:
        return None


def _json_text(raw: Raw) -> str | None:
    """A part of the envelope as its JSON text; None when it is missing."""
    return bytes(raw).decode("utf-8", "backslashreplace").replace("\x00", "\\x00") or None
