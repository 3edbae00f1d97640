"""HubSpot's webhooks, signature version 3: base64 of HMAC-SHA256 over method, URI, body and timestamp (milliseconds).

https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
The URI is the address that HubSpot was given, so behind a proxy the collector must know it (`collector_public_url`).
"""

import hmac
import re
from base64 import b64encode
from typing import ClassVar

from jobs.core.errors import UsageError
from jobs.ingest.webhooks.base import Vendor, WebhookCode, WebhookRefusedError, WebhookRequest, check_age

TOLERANCE_SECONDS = 300  # as HubSpot says
MILLISECOND_US = 1000
SHORTEST = 16
# What HubSpot says to decode in the URI before signing; everything else stays as it is.
DECODED = {f"%{ord(letter):02X}": letter for letter in ":/?@!$'()*,;"}
ENCODED = re.compile("|".join(DECODED), re.IGNORECASE)


class HubSpot(Vendor):
    """Posts JSON arrays of up to a hundred events."""

    hint: ClassVar[str] = "the client secret of the app that sends the webhooks"

    def check_secret(self, secret: bytes) -> None:
        """A text without blanks, long enough to be one."""
        if len(secret) < SHORTEST or re.search(rb"\s", secret):
            raise UsageError(f"that is no client secret: expected {SHORTEST} characters or more, without blanks")

    def verify(self, request: WebhookRequest, source: str, secret: bytes) -> None:
        """The signature first, then its age."""
        stamp = request.header("x-hubspot-request-timestamp")
        uri = ENCODED.sub(lambda found: DECODED[found[0].upper()], request.url)
        signed = b"".join(
            [request.method.encode(), uri.encode("utf-8", "surrogateescape"), request.body, stamp.encode()]
        )
        expected = b64encode(hmac.digest(secret, signed, "sha256"))
        if not hmac.compare_digest(expected, request.header("x-hubspot-signature-v3").encode()):
            raise WebhookRefusedError(WebhookCode.INVALID_SIGNATURE)
        check_age(stamp, MILLISECOND_US, request, TOLERANCE_SECONDS)


VENDOR = HubSpot
