"""Customer.io's reporting webhooks: hex of HMAC-SHA256 over `v0:<timestamp>:<body>`, one event a request.

https://docs.customer.io/integrations/api/webhooks
"""

import hmac
import re
from typing import ClassVar

from jobs.core.errors import UsageError
from jobs.ingest.webhooks.base import SECOND_US, Vendor, WebhookCode, WebhookRefusedError, WebhookRequest, check_age

# Customer.io tries again for seven days and does not say whether it signs anew each time. A request that is replayed
# within them carries a known event id, and those are dropped for 30 days.
TOLERANCE_SECONDS = 8 * 86_400
SHORTEST = 16


class CustomerIo(Vendor):
    """Posts one JSON object a request."""

    hint: ClassVar[str] = "the webhook signing key of Data & Integrations > Integrations > Reporting Webhooks"

    def check_secret(self, secret: bytes) -> None:
        """A text without blanks, long enough to be one."""
        if len(secret) < SHORTEST or re.search(rb"\s", secret):
            raise UsageError(f"that is no signing key: expected {SHORTEST} characters or more, without blanks")

    def verify(self, request: WebhookRequest, source: str, secret: bytes) -> None:
        """The signature first, then its age."""
        stamp = request.header("x-cio-timestamp")
        expected = hmac.digest(secret, b"v0:%b:%b" % (stamp.encode(), request.body), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), request.header("x-cio-signature").strip().lower().encode()):
            raise WebhookRefusedError(WebhookCode.INVALID_SIGNATURE)
        check_age(stamp, SECOND_US, request, TOLERANCE_SECONDS)


VENDOR = CustomerIo
