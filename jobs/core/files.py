"""What it takes that a file outlives a loss of power: its bytes forced to the disk, its name too, and never half of it."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Returns when the file's bytes, or the folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Makes or replaces a file in a folder that exists: a reader, and a start after a crash, sees all of the new content or
    all of the old. Only its owner may read it, unless `mode` says more. Two writers at once are the caller's to prevent."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync(path.parent)
