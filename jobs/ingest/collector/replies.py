"""What the door answers: 200 with counts, or an error body of code, receipt id and a sentence. Nothing sent is repeated."""

import logging
import math
import traceback
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from jobs.ingest.reasons import Reason

log = logging.getLogger(__name__)
Header = tuple[bytes, bytes]
JSON_TYPE: Header = (b"content-type", b"application/json")
CLOSE: Header = (b"connection", b"close")
FRAMES = 3
SHOWN = 100  # refused messages named in one answer


class Code(StrEnum):
    """Why a request is refused before anything in it is judged. The other codes are those of `reasons.Reason`."""

    BAD_REQUEST = "bad_request"
    INVALID_WRITE_KEY = "invalid_write_key"
    KEY_IN_QUERY = "key_in_query"
    NOT_ALLOWED_FOR_KEY = "not_allowed_for_key"
    ORIGIN_NOT_ALLOWED = "origin_not_allowed"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    READ_TIMEOUT = "read_timeout"
    BODY_LIMIT = "body_limit"
    INFLATE_LIMIT = "inflate_limit"
    BATCH_LIMIT = "batch_limit"
    HEADER_LIMIT = "header_limit"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


STATUS: dict[str, int] = {
    Code.BAD_REQUEST: 400,
    Code.INVALID_WRITE_KEY: 401,
    Code.KEY_IN_QUERY: 401,
    Code.NOT_ALLOWED_FOR_KEY: 403,
    Code.ORIGIN_NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.READ_TIMEOUT: 408,
    Code.BODY_LIMIT: 413,
    Code.INFLATE_LIMIT: 413,
    Code.BATCH_LIMIT: 413,
    Code.UNSUPPORTED_ENCODING: 415,
    Code.RATE_LIMITED: 429,
    Code.HEADER_LIMIT: 431,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
}
MESSAGES: dict[str, str] = {
    Code.BAD_REQUEST: "the request is not valid HTTP/1.1",
    Code.INVALID_WRITE_KEY: "no valid write key; send it as the user of Basic authentication, or as writeKey in the body",
    Code.KEY_IN_QUERY: "a write key does not belong in the URL, where logs keep it; send it in the header or the body",
    Code.NOT_ALLOWED_FOR_KEY: "this write key may not send that; see `c360 collector keys --help`",
    Code.ORIGIN_NOT_ALLOWED: "this write key may not be used from this site",
    Code.NOT_FOUND: "there is nothing here; see /docs",
    Code.METHOD_NOT_ALLOWED: "only POST is served here; see /docs",
    Code.READ_TIMEOUT: "the request did not arrive in time",
    Code.BODY_LIMIT: "the body is too large; send smaller batches",
    Code.INFLATE_LIMIT: "the body is too large when decompressed; send smaller batches",
    Code.BATCH_LIMIT: "the batch has too many messages, or too much context for them; send smaller batches",
    Code.HEADER_LIMIT: "the request head is too large",
    Code.UNSUPPORTED_ENCODING: "only one Content-Encoding is read, gzip; send the body plain or in gzip",
    Code.RATE_LIMITED: "too many requests; try again after the stated seconds",
    Code.UNAVAILABLE: "nothing was taken; send it again after the stated seconds",
    Code.INTERNAL: "an error of ours; nothing was taken",
    Reason.EMPTY: "the body is empty",
    Reason.INVALID_ENCODING: "the body is not plain UTF-8 text",
    Reason.TRUNCATED: "the gzip stream breaks off",
    Reason.WRONG_FORMAT: "the body is not of the form that this endpoint takes; see /docs",
    Reason.MALFORMED_JSON: "the body is not JSON",
    Reason.NOT_AN_OBJECT: "a JSON object was expected",
    Reason.TOO_DEEP: "the JSON is nested too deep",
    Reason.TOO_LONG: "the message is too long",
    Reason.DUPLICATE_KEY: "the JSON names something twice; which one counts would be a guess",
}


class RefusedError(Exception):
    """The request is refused with this code; nothing of it is kept. `retry_after` in seconds."""

    def __init__(self, code: Code, *, retry_after: float | None = None, close: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after
        self.close = close


class Reply(msgspec.Struct):
    """Status, headers and body of an answer, and the code that is counted."""

    status: int
    code: str
    headers: list[Header]
    body: bytes


def accepted(receipt_id: str, count: int, refused: list[tuple[int, str]]) -> Reply:
    """200: `count` messages are durable; `refused` are places in the batch with their codes."""
    if not refused:
        body = b'{"success":true,"receipt_id":"%b","accepted":%d}' % (receipt_id.encode(), count)
    else:
        shown = [{"index": index, "code": code} for index, code in refused[:SHOWN]]
        body = msgspec.json.encode(
            {"success": True, "receipt_id": receipt_id, "accepted": count, "refused": len(refused), "errors": shown}
        )
    return Reply(200, "ok", [JSON_TYPE, (b"content-length", str(len(body)).encode())], body)


def rejected(receipt_id: str, reason: Reason) -> Reply:
    """400: the body as a whole is in quarantine (or was empty) for this reason."""
    return problem(400, reason, receipt_id)


def refused(receipt_id: str, error: RefusedError) -> Reply:
    """The status of the code; nothing was kept."""
    headers: list[Header] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after))).encode()))
    if error.code is Code.INVALID_WRITE_KEY:
        headers.append((b"www-authenticate", b'Basic realm="c360"'))
    if error.code is Code.METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST, OPTIONS"))
    if error.close:
        headers.append(CLOSE)
    return problem(STATUS[error.code], error.code, receipt_id, headers)


def unforeseen(receipt_id: str, error: Exception) -> Reply:
    """500 for an error of ours: nothing was acknowledged. The log gets the places in the code, for values may be personal."""
    where = "".join(traceback.format_tb(error.__traceback__)[-FRAMES:])
    log.error("receipt %s: %s\n%s", receipt_id, type(error).__name__, where)
    return refused(receipt_id, RefusedError(Code.INTERNAL))


def problem(status: int, code: str, receipt_id: str, headers: Sequence[Header] = ()) -> Reply:
    """An error body: the code, the receipt id to ask about it, and a sentence."""
    body = msgspec.json.encode(
        {"code": str(code), "receipt_id": receipt_id, "message": MESSAGES.get(code, "see the code")}
    )
    return Reply(status, str(code), [JSON_TYPE, (b"content-length", str(len(body)).encode()), *headers], body)
