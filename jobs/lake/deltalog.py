"""Reads a table's Delta log as it lies on disk: what each commit added and removed, and when. No data file is opened."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

LOG = "_delta_log"


@dataclass(frozen=True)
class Commit:
    """One version: paths relative to the table. `added` are those of new data, in order; `moved` those of old data put
    elsewhere (compaction); `removed` maps a path to the time of its removal (ms since 1970)."""

    version: int
    added: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    removed: dict[str, int] = field(default_factory=dict)


def commit_file(table: Path, version: int) -> Path:
    """Where a version's commit is written."""
    return table / LOG / f"{version:020d}.json"


def versions(table: Path) -> list[int]:
    """The versions whose commits are still there, ascending."""
    return sorted(int(p.stem) for p in (table / LOG).glob("*.json") if p.stem.isdigit())


def commits(table: Path, start: int = 0) -> Iterator[Commit]:
    """The commits from version `start` on that are still there."""
    for version in versions(table):
        if version >= start:
            yield _read(table, version)


def _read(table: Path, version: int) -> Commit:
    commit = Commit(version)
    for line in commit_file(table, version).read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        if add := action.get("add"):
            (commit.added if add["dataChange"] else commit.moved).append(unquote(add["path"]))
        if remove := action.get("remove"):
            commit.removed[unquote(remove["path"])] = int(remove.get("deletionTimestamp") or 0)
    return commit


def tombstones(table: Path) -> dict[str, int]:
    """path → when it was removed (ms since 1970), of every removal that the log still tells of, checkpoints included."""
    found: dict[str, int] = {}
    for path in (table / LOG).glob("*.checkpoint*.parquet"):
        if "remove" in pq.read_schema(path).names:
            rows: list[dict[str, Any]] = pq.read_table(path, columns=["remove"]).column("remove").to_pylist()
            for remove in filter(None, rows):
                _later(found, unquote(remove["path"]), int(remove["deletionTimestamp"] or 0))
    for commit in commits(table):
        for name, at in commit.removed.items():
            _later(found, name, at)
    return found


def _later(found: dict[str, int], name: str, at: int) -> None:
    found[name] = max(at, found.get(name, 0))
