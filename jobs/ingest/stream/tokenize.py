"""Tokens as Spark column expressions, equal to `jobs.privacy.tokens` (a test holds them together). No Python UDF.

HMAC-SHA-256 is sha256((key ^ opad) ‖ sha256((key ^ ipad) ‖ message)) (RFC 2104); the two padded key blocks are literals.
"""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.privacy.keys import TokenKey

BLOCK_BYTES = 64


def _padded(key: bytes, pad: int) -> Column:
    block = bytes(byte ^ pad for byte in key.ljust(BLOCK_BYTES, b"\x00"))
    return F.unhex(F.lit(block.hex()))


def normalised(kind: str, value: Column) -> Column:
    """The form that is hashed; see `jobs.privacy.tokens.normalise`."""
    text = F.trim(value)
    if kind == "email":
        return F.lower(text)
    if kind == "phone":
        digits = F.regexp_replace(text, "[^0-9]", "")
        return F.when(text.startswith("+"), F.concat(F.lit("+"), digits)).otherwise(digits)
    return text


def _hmac(text: Column, key: bytes) -> Column:
    inner = F.unhex(F.sha2(F.concat(_padded(key, 0x36), text.cast("binary")), 256))
    return F.sha2(F.concat(_padded(key, 0x5C), inner), 256)


def fingerprint(columns: Sequence[str | Column], key: TokenKey) -> Column:
    """A keyed hash of what a message says, 32 hex digits: equal for equal contents, and no dictionary can be tried on it."""
    found = [F.col(column) if isinstance(column, str) else column for column in columns]
    marked = [F.coalesce(column, F.lit("\x00")) for column in found]
    return F.substring(_hmac(F.concat_ws("\x1f", *marked), key.stable), 1, 32)


def token(kind: str, value: Column, key: TokenKey) -> Column:
    """`<kind>_v<version>_<hex>`; NULL for NULL and for blank values."""
    text = normalised(kind, value)
    return F.when(F.length(text) > 0, F.concat(F.lit(f"{kind}_v{key.version}_"), _hmac(text, key.secret)))
