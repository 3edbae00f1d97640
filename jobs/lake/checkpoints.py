"""Reads the checkpoints of the two streams as Spark leaves them on disk: their id, their position, what is committed.

Layout of `checkpoints/<stream>/`: `metadata` (the uuid) · `offsets/<batch>` (what a batch reads; written before it runs) ·
`commits/<batch>` (written when it is done) · `sources/0/<entry>` (bronze only: the files ever seen).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.core.settings import Settings

BRONZE, SILVER = "bronze", "silver"
STREAMS = (BRONZE, SILVER)
# What the silver stream writes, each under the transaction id `silver:<checkpoint>:<table>`.
SILVER_TABLES = (
    "silver_events",
    "silver_records",
    "silver_identifiers",
    "consents",
    "quarantine_messages",
    "ops_dropped_messages",
)


@dataclass(frozen=True)
class Position:
    """Where the silver stream stands in bronze: it reads `version` next, from file `index` + 1 of it on (-1: from its first).

    `is_snapshot`: it is still in the table as it was when the stream began, whose files are those of `version`.
    """

    version: int
    index: int
    is_snapshot: bool
    table_id: str


def folder(settings: Settings, stream: str) -> Path:
    """Spark's folder of a stream's checkpoint."""
    return settings.checkpoints / stream


def entries(path: Path) -> list[int]:
    """The batch numbers in `offsets` or `commits`, ascending."""
    return sorted(int(p.name) for p in path.glob("*") if p.name.isdigit())


def checkpoint_id(settings: Settings, stream: str = SILVER) -> str:
    """The checkpoint's own uuid: a new checkpoint starts its batch ids at 0 and must not look like the old one."""
    return str(json.loads((folder(settings, stream) / "metadata").read_text(encoding="utf-8"))["id"])


def last_commit(settings: Settings, stream: str) -> int:
    """The last batch that Spark has committed; -1 before any."""
    return max(entries(folder(settings, stream) / "commits"), default=-1)


def offset(path: Path) -> dict[str, Any]:
    """The source's offset in a file of `offsets`; raises ValueError when the file is not whole."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 3 or lines[0] != "v1":
        raise ValueError(f"{path.name} is not a whole offsets file")
    found = json.loads(lines[-1])
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no offset")
    return found


def position_of(found: dict[str, Any]) -> Position:
    """A Delta source's offset, typed."""
    return Position(
        int(found["reservoirVersion"]), int(found["index"]), bool(found["isStartingVersion"]), str(found["reservoirId"])
    )


def silver_position(settings: Settings) -> Position | None:
    """Where the silver stream's committed batches end; None before the first one is committed."""
    batch = last_commit(settings, SILVER)
    return None if batch < 0 else position_of(offset(folder(settings, SILVER) / "offsets" / str(batch)))


def seen_files(settings: Settings) -> dict[str, int]:
    """Path of each sealed file that the bronze stream has ever taken (a URI) → the entry of its list that names it.

    Raises ValueError, KeyError or OSError when an entry is torn or missing.
    """
    listed = folder(settings, BRONZE) / "sources" / "0"
    return {uri: entry for path in needed_entries(listed) for uri, entry in listed_files(path).items()}


def listed_files(path: Path) -> dict[str, int]:
    """The same, of one file of the list."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] != "v1":
        raise ValueError(f"{path.name} is not a whole list of files")
    found = [json.loads(line) for line in lines[1:]]
    return {str(entry["path"]): int(entry["batchId"]) for entry in found}


def needed_entries(listed: Path) -> list[Path]:
    """The files of `sources/0` that Spark reads: the newest compacted one and all after it. ValueError when one is gone."""
    names = {p.name for p in listed.glob("*")}
    whole = [int(n.removesuffix(".compact")) for n in names if n.endswith(".compact")]
    plain = [int(n) for n in names if n.isdigit()]
    start = max(whole, default=-1)
    newest = max([*plain, start])
    missing = [n for n in range(start + 1, newest + 1) if str(n) not in names]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    first = [listed / f"{start}.compact"] if start >= 0 else []
    return first + [listed / str(n) for n in range(start + 1, newest + 1)]
