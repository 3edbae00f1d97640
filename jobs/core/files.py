"""Small files that a crash must find whole, old or new."""

import os
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Replaces the file's content in one step; when it returns, the new content survives a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
