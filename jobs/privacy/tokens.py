"""Tokens: what stands for raw PII from silver on. `<type>_v<key version>_<HMAC-SHA-256 hex of the normalised value>`.

The Spark expression in `jobs.ingest.stream.tokenize` computes the same; a test holds the two together.
"""

import hashlib
import hmac
import re

from jobs.privacy.keys import TokenKey


def normalise(kind: str, value: str) -> str:
    """The form that is hashed: e-mails trimmed and lower-cased, phones as + and digits, anything else trimmed."""
    text = value.strip()
    if kind == "email":
        return text.lower()
    if kind == "phone":
        digits = re.sub(r"[^0-9]", "", text)
        return f"+{digits}" if text.startswith("+") else digits
    return text


def token(kind: str, value: str, key: TokenKey) -> str:
    """The token of a raw value; equal values give equal tokens under one key, and nothing without the key."""
    return token_of_normalised(kind, normalise(kind, value), key)


def token_of_normalised(kind: str, text: str, key: TokenKey) -> str:
    """The token of a value that is in its hashed form already, such as the vault's."""
    return f"{kind}_v{key.version}_{hmac.new(key.secret, text.encode(), hashlib.sha256).hexdigest()}"
