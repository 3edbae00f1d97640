"""Rows of a REST answer to lines of NDJSON: the declared columns, in the contract's order. Pure.

Nothing is judged here: what is missing, of another type or no object at all is written as it is, and the stream finds it.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from jobs.ingest.pulls.options import ColumnOptions
from jobs.transport.rest import at_path

MARK_BYTES = 16
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_record(row: Any, rules: Mapping[str, ColumnOptions], order: Sequence[str]) -> Any:
    """The columns of a row, None where it has nothing; a row that is no object stays what it is."""
    if not isinstance(row, Mapping):
        return row
    return {name: _value(row, rules[name]) if name in rules else None for name in order}


def _value(row: Mapping[str, Any], rule: ColumnOptions) -> Any:
    found = at_path(row, rule.path)
    return rule.values.get(_text(found)) if rule.values else found


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) or value is None else str(value)


def to_line(record: Any) -> bytes:
    """One line of NDJSON; numbers as the source wrote them."""
    try:
        return _ENCODER.encode(record) + b"\n"
    except (UnicodeEncodeError, ValueError):  # a lone surrogate has no bytes; its escape has
        return json.dumps(record, ensure_ascii=True, separators=(",", ":"), default=_plain).encode("ascii") + b"\n"


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else repr(value)


def mark_of(line: bytes, key: bytes) -> bytes:
    """Keyed fingerprint of a line: tells a repeat, and nothing else without the key."""
    return hmac.new(key, line, hashlib.sha256).digest()[:MARK_BYTES]
