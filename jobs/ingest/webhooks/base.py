"""What every vendor's door is: it proves that a request comes from the vendor and takes the body apart into events.

`receive` is what the collector calls for `/v1/webhooks/{vendor}/{source}` and for anything below that path (Mailchimp's
secret is the last part of it), for any method. It answers 200 when the returned messages are durable (none is fine: a
vendor's test call), or the status and code of WebhookRefusedError. What an event means is said by the source's contract
(`mapping`) and judged in the stream; here each event's own text is kept.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

import msgspec
from msgspec import Raw

from expectations import contracts
from jobs.core.errors import UsageError
from jobs.core.settings_collector import CollectorSettings
from jobs.ingest.collector.scan import DuplicateMemberError, TooManyElementsError, UnsplittableError, is_deeper, scan
from jobs.ingest.collector.split import Limits, Part, split_single, unsplittable
from jobs.ingest.landing.log import Received
from jobs.ingest.reasons import Reason
from jobs.ingest.webhooks import vendors

SECOND_US = 1_000_000
AHEAD_SECONDS = 300  # how far a vendor's clock may be ahead of ours
_DEFAULTS = CollectorSettings()
DEFAULT_LIMITS = Limits(
    depth=_DEFAULTS.collector_depth,
    message_bytes=_DEFAULTS.collector_message_bytes,
    batch_messages=_DEFAULTS.collector_batch_messages,
)
_ARRAY = msgspec.json.Decoder(list[Raw])


class WebhookCode(StrEnum):
    """Why a webhook request is refused; nothing of it is kept."""

    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INVALID_SIGNATURE = "invalid_signature"
    STALE_SIGNATURE = "stale_signature"
    BATCH_LIMIT = "batch_limit"


STATUS = {
    WebhookCode.NOT_FOUND: 404,
    WebhookCode.METHOD_NOT_ALLOWED: 405,
    WebhookCode.INVALID_SIGNATURE: 401,
    WebhookCode.STALE_SIGNATURE: 401,
    WebhookCode.BATCH_LIMIT: 413,
}


class WebhookRefusedError(Exception):
    """The request is refused: answer `status` with `code`."""

    def __init__(self, code: WebhookCode) -> None:
        super().__init__(code)
        self.code = code
        self.status = STATUS[code]


@dataclass(frozen=True)
class WebhookRequest:
    """One HTTP request. `url` is whole and as the vendor called it (see `public_url`), `headers` have lower-case names,
    `body` is as it came, `receipt` what the collector notes of the request (receipt_id, ip truncated)."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_us: int
    receipt: Mapping[str, object] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """The header's value; empty when it is missing."""
        return self.headers.get(name, "")


class Vendor(ABC):
    """One vendor. Subclass it in `vendors/<name>.py`, as `VENDOR`."""

    # What the secret is and where a person finds it.
    hint: ClassVar[str]
    # Whether the secret is ours to make up.
    makes_secret: ClassVar[bool] = False
    methods: ClassVar[tuple[str, ...]] = ("POST",)

    @abstractmethod
    def check_secret(self, secret: bytes) -> None:
        """Raises UsageError when this can be no secret of the vendor."""

    @abstractmethod
    def verify(self, request: WebhookRequest, source: str, secret: bytes) -> None:
        """Raises WebhookRefusedError unless the request is the vendor's, whole and recent."""

    def split(self, request: WebhookRequest, limits: Limits) -> list[Part]:
        """The body as single events, each one's text as it came; none for a test call."""
        return split_events(request.body, limits)


def receive(
    vendor: str, source: str, request: WebhookRequest, secret: bytes | None, *, limits: Limits = DEFAULT_LIMITS
) -> list[Received]:
    """The events of a webhook request, for the landing log. Raises WebhookRefusedError.

    Without a secret (`secrets.read_secret`) there is nothing at this address, and nobody is told more.
    """
    known = vendor in vendors.names() and source in contracts.sources()
    if not known or contracts.sources()[source].kind != "events" or secret is None:
        raise WebhookRefusedError(WebhookCode.NOT_FOUND)
    door = open_vendor(vendor)
    if request.method not in door.methods:
        raise WebhookRefusedError(WebhookCode.METHOD_NOT_ALLOWED)
    door.verify(request, source, secret)
    parts = door.split(request, limits)
    receipt_id = request.receipt.get("receipt_id")
    found = []
    for index, part in enumerate(parts):
        own = {"receipt_id": f"{receipt_id}.{index}"} if receipt_id else {}
        receipt = {**request.receipt, **own, "vendor": vendor}
        found.append(Received(source, request.received_us, None, receipt, part.payload, part.error))
    return found


def open_vendor(name: str) -> Vendor:
    """The named vendor; raises UsageError with the known names."""
    found = vendors.load(name)
    if not (isinstance(found, type) and issubclass(found, Vendor)):
        raise UsageError(f"vendors/{name}.py: VENDOR must be a class made from base.Vendor")
    return found()


def public_url(public: str | None, url: str) -> str:
    """The URL as the vendor called it: behind a proxy, scheme and host of the setting `collector_public_url`."""
    if public is None:
        return url
    rest = url.split("://", 1)[-1].partition("/")[2]
    return f"{public.rstrip('/')}/{rest}"


def check_age(stamp: str, unit_us: int, request: WebhookRequest, seconds: int) -> None:
    """Raises WebhookRefusedError unless the signed time, in units of `unit_us` microseconds, is at most `seconds` old."""
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) <= 16):
        raise WebhookRefusedError(WebhookCode.INVALID_SIGNATURE)
    age = request.received_us - int(stamp) * unit_us
    if not -AHEAD_SECONDS * SECOND_US <= age <= seconds * SECOND_US:
        raise WebhookRefusedError(WebhookCode.STALE_SIGNATURE)


def split_events(body: bytes, limits: Limits) -> list[Part]:
    """A JSON array as its elements, an object as itself; anything else stays whole, with the reason. Nothing is dropped."""
    text = body.strip()
    if not text.startswith(b"["):
        return split_single(body, limits).parts
    try:
        elements = [bytes(raw) for raw in _ARRAY.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        # One bad event must not take the others with it.
        found = _scanned_elements(text, limits)
        if isinstance(found, Reason):
            return unsplittable(body, found).parts
        elements = found
    if len(elements) > limits.batch_messages:
        raise WebhookRefusedError(WebhookCode.BATCH_LIMIT)
    return [part for raw in elements for part in split_single(raw, limits).parts or [Part(raw.decode())]]


def _scanned_elements(text: bytes, limits: Limits) -> list[bytes] | Reason:
    """The elements of an array that does not parse, found by its brackets; or why there are none to be found."""
    try:
        found = scan(b'{"batch":%b}' % text, limits.batch_messages)
    except TooManyElementsError as error:
        raise WebhookRefusedError(WebhookCode.BATCH_LIMIT) from error
    except (UnsplittableError, DuplicateMemberError):
        return Reason.TOO_DEEP if is_deeper(text, limits.depth) else Reason.MALFORMED_JSON
    if found.elements is None or found.members.keys() != {b"batch"}:
        return Reason.MALFORMED_JSON
    return found.elements
