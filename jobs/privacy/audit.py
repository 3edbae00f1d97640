"""Who read what is closed to others: one line per read in `vault/audit.jsonl`, on disk before the answer is given."""

import json
import os
from pathlib import Path

from jobs.core.context import Context
from jobs.core.settings import Settings


def closed_folder(settings: Settings) -> Path:
    """`vault/`, closed to others."""
    folder = settings.home / "vault"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def audit(context: Context, purpose: str, **what: object) -> None:
    """Writes time, run and purpose, and `what` was read: counts and ids, never a value."""
    entry = {"at": context.clock.now().isoformat(), "run_id": context.run_id, "purpose": purpose} | what
    path = closed_folder(context.settings) / "audit.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(json.dumps(entry, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
