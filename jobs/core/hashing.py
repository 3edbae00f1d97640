"""Hashes with separators and null marks, so that ("a", "bc") and ("ab", "c"), or None and "", never collide."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

SEPARATOR = "\x1f"
NULL_MARK = "\x00"


def hash_parts(parts: Iterable[object]) -> str:
    """sha256 hex digest of the parts in order; None differs from every string."""
    text = SEPARATOR.join(NULL_MARK if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hash_file(path: Path) -> str:
    """sha256 hex digest of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
