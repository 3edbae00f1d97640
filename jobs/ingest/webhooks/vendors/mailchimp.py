"""Mailchimp's audience webhooks: form-encoded, not signed. What proves the sender is an address that nobody can guess:
`/v1/webhooks/mailchimp/{source}/{secret}`.

https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/
"""

import hmac
import json
import re
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from jobs.core.errors import UsageError
from jobs.ingest.collector.split import Limits, Part, as_base64, is_text
from jobs.ingest.reasons import Reason
from jobs.ingest.webhooks.base import Vendor, WebhookCode, WebhookRefusedError, WebhookRequest

SECRET = re.compile(rb"[A-Za-z0-9_-]{32,128}")
# data[merges][FNAME] is the path data, merges, FNAME.
FIELD = re.compile(r"[^\[\]]+(?:\[[^\[\]]*\])*")
MOST_FIELDS = 1000


class Mailchimp(Vendor):
    """Posts one form a request; asks with GET, and with an empty POST, whether the address is there."""

    hint: ClassVar[str] = "the last part of the address that Mailchimp is given: 32 or more letters and digits"
    makes_secret: ClassVar[bool] = True
    methods: ClassVar[tuple[str, ...]] = ("POST", "GET", "HEAD")

    def check_secret(self, secret: bytes) -> None:
        """Long, and of characters that stand in a URL as they are."""
        if not SECRET.fullmatch(secret):
            raise UsageError("the secret stands in the address: 32 to 128 letters, digits, - and _; see --generate")

    def verify(self, request: WebhookRequest, source: str, secret: bytes) -> None:
        """The address holds the secret, right below the source."""
        _, found, last = urlsplit(request.url).path.rpartition(f"/mailchimp/{source}/")
        if not found or not hmac.compare_digest(last.encode(), secret):
            raise WebhookRefusedError(WebhookCode.INVALID_SIGNATURE)

    def split(self, request: WebhookRequest, limits: Limits) -> list[Part]:
        """The form as one JSON object of texts; a form that is none stays as it came, with the reason."""
        if request.method != "POST" or not request.body.strip():
            return []
        return [_as_json(request.body, limits)]


def _as_json(body: bytes, limits: Limits) -> Part:
    if not is_text(body):
        return Part(as_base64(body), Reason.INVALID_ENCODING)
    text = body.decode()
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MOST_FIELDS
        )
        return Part(json.dumps(_nested(pairs, limits.depth), ensure_ascii=False, separators=(",", ":")))
    except UnicodeDecodeError:
        return Part(text, Reason.INVALID_ENCODING)
    except _NoFormError as error:
        return Part(text, error.reason)
    except ValueError:
        too_many = text.count("&") >= MOST_FIELDS
        return Part(text, Reason.TOO_MANY_KEYS if too_many else Reason.WRONG_FORMAT)


class _NoFormError(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def _nested(pairs: list[tuple[str, str]], depth: int) -> dict[str, Any]:
    """data[email]=… as {"data": {"email": …}}; the same name twice is a guess that is not made."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        path = name.replace("]", "").split("[")
        if not FIELD.fullmatch(name):
            raise _NoFormError(Reason.WRONG_FORMAT)
        if len(path) > depth:
            raise _NoFormError(Reason.TOO_DEEP)
        inner = found
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise _NoFormError(Reason.DUPLICATE_KEY)
        if path[-1] in inner:
            raise _NoFormError(Reason.DUPLICATE_KEY)
        inner[path[-1]] = value
    return found


VENDOR = Mailchimp
