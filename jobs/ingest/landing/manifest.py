"""The manifest of landing files: what was decided about each one, and which need a decision now."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake.delta import append, read
from jobs.lake.schema import arrow_schema

TABLE = "ops_landing_manifest"
# Decisions that a file meets again at every run until it changes: they are taken again, but recorded once.
PROVISIONAL = ("waiting", "vanished")


def signature(path: Path) -> str:
    """inode:size:mtime:ctime in ns. The ctime cannot be set by a copying tool, so equal signatures mean equal bytes."""
    stat = path.lstat()
    return f"{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


@dataclass
class Manifest:
    """What is known of earlier deliveries; grows with each decision of this process.

    A refused delivery uses up neither its name nor its content: the repaired file may come under either.
    """

    settings: Settings
    decided: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # by source, name: the last decision
    loaded: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # by source, name
    contents: set[tuple[str, str]] = field(default_factory=set)  # loaded, by source, sha256
    last_number: int = 0

    @classmethod
    def open(cls, settings: Settings) -> "Manifest":
        """Reads the table once."""
        manifest = cls(settings)
        for row in sorted(read(settings, TABLE).to_pylist(), key=lambda row: row["file_number"]):
            manifest.remember(row)
        return manifest

    def remember(self, row: dict[str, Any]) -> None:
        """Takes a decision into account from now on; it counts for later runs once it is recorded."""
        key = (row["source"], row["file_name"])
        self.decided[key] = row
        if row["status"] == "loaded":
            self.loaded[key] = row
            self.contents.add((row["source"], row["sha256"]))
        self.last_number = max(self.last_number, row["file_number"])

    def is_settled(self, source: str, name: str, mark: str, *, retry_refused: bool) -> bool:
        """Whether nothing needs to be decided: the file is as it was when its last decision was recorded."""
        last = self.decided.get((source, name))
        if last is None or last["signature"] != mark or last["status"] in (*PROVISIONAL, "released"):
            return False
        return not (retry_refused and last["status"] == "rejected")

    def is_released(self, source: str, name: str, digest: str) -> bool:
        """Whether a person has looked at these very bytes and let them pass."""
        last = self.decided.get((source, name))
        return last is not None and last["status"] == "released" and last["sha256"] == digest

    def is_news(self, row: dict[str, Any]) -> bool:
        """Whether a decision says something that the last one of its file did not."""
        last = self.decided.get((row["source"], row["file_name"]))
        same = ("status", "reason", "details", "sha256", "signature")
        return last is None or any(last[name] != row[name] for name in same)

    def next_number(self) -> int:
        """The next place in the order of receipt."""
        self.last_number += 1
        return self.last_number

    def record(self, rows: Iterable[dict[str, Any]]) -> None:
        """Appends decisions in one commit, which makes them count: what a crash left unrecorded is done again."""
        fresh = list(rows)
        if not fresh:
            return
        table = pa.Table.from_pylist(fresh, schema=arrow_schema(lake_table(TABLE).contract))
        append(self.settings, TABLE, table, app_id="landing", app_version=max(row["file_number"] for row in fresh))
        for row in fresh:
            self.remember(row)


def decision(context: Context, number: int, source: str, path: Path, *, digest: str, mark: str) -> dict[str, Any]:
    """A manifest row for one file, `loaded` until something speaks against it."""
    return {
        "file_number": number, "source": source, "file_name": path.name, "sha256": digest,
        "size_bytes": int(mark.split(":")[1]), "signature": mark, "row_count": 0, "status": "loaded", "reason": None,
        "details": None, "run_id": context.run_id, "recorded_at": context.clock.now(),
    }  # fmt: skip
