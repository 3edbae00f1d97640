"""Tokens: what stands for raw PII from silver on. `<type>_v<key version>_<HMAC-SHA-256 hex of the normalised value>`.

The Spark expression in `jobs.ingest.stream.tokenize` computes the same; a test holds the two together.
"""

import hashlib
import hmac
import re

from jobs.privacy.keys import TOKEN_KEY_VERSION


def normalise(kind: str, value: str) -> str:
    """The form that is hashed: e-mails trimmed and lower-cased, phones as + and digits, anything else trimmed."""
    text = value.strip()
    if kind == "email":
        return text.lower()
    if kind == "phone":
        digits = re.sub(r"[^0-9]", "", text)
        return f"+{digits}" if text.startswith("+") else digits
    return text


def token(kind: str, value: str, key: bytes) -> str:
    """The token of a raw value; equal values give equal tokens under one key, and nothing without the key."""
    digest = hmac.new(key, normalise(kind, value).encode(), hashlib.sha256).hexdigest()
    return f"{kind}_v{TOKEN_KEY_VERSION}_{digest}"
