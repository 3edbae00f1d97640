"""Twilio SendGrid's Event Webhook: ECDSA (P-256, SHA-256) over timestamp and body, base64 of the DER signature.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
import binascii
from functools import lru_cache
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from jobs.core.errors import UsageError
from jobs.ingest.webhooks.base import SECOND_US, Vendor, WebhookCode, WebhookRefusedError, WebhookRequest, check_age

# SendGrid tries again for a day and does not say whether it signs anew each time. A request that is replayed within the
# day carries known event ids, and those are dropped for 30 days.
TOLERANCE_SECONDS = 26 * 3600


class SendGrid(Vendor):
    """Posts JSON arrays of events."""

    hint: ClassVar[str] = "the verification key (public) of Settings > Mail Settings > Event Webhooks"

    def check_secret(self, secret: bytes) -> None:
        """A P-256 public key, as SendGrid shows it (base64) or in PEM."""
        try:
            _public_key(secret)
        except ValueError as error:
            raise UsageError("that is no P-256 public key; copy the verification key of the Event Webhook") from error

    def verify(self, request: WebhookRequest, source: str, secret: bytes) -> None:
        """The signature first, so that nobody without the key learns what we think of a timestamp."""
        stamp = request.header("x-twilio-email-event-webhook-timestamp")
        try:
            signature = base64.b64decode(request.header("x-twilio-email-event-webhook-signature"), validate=True)
            signed = stamp.encode("ascii") + request.body
            _public_key(secret).verify(signature, signed, ec.ECDSA(hashes.SHA256()))
        except (binascii.Error, UnicodeEncodeError, ValueError, InvalidSignature) as error:
            raise WebhookRefusedError(WebhookCode.INVALID_SIGNATURE) from error
        check_age(stamp, SECOND_US, request, TOLERANCE_SECONDS)


@lru_cache(maxsize=16)
def _public_key(secret: bytes) -> ec.EllipticCurvePublicKey:
    text = secret.strip()
    is_pem = text.startswith(b"-----BEGIN")
    key = load_pem_public_key(text) if is_pem else load_der_public_key(base64.b64decode(text, validate=True))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not on P-256")
    return key


VENDOR = SendGrid
