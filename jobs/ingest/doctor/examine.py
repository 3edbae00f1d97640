"""Examines a checkpoint, file by file: what Spark would read at a start, against what the tables hold. Changes nothing.

Spark reads the two newest entries of `offsets`, the newest of `commits`, `metadata`, and for bronze the list of files in
`sources/0`. The tables remember the last batch of each checkpoint (Delta's transactions): an offsets log that ends before
it would plan that batch anew, and Delta would silently skip what it then holds.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.ingest.doctor import evidence
from jobs.ingest.doctor.findings import Finding, Kind
from jobs.ingest.doctor.fingerprint import changed_contracts
from jobs.lake import deltalog
from jobs.lake.checkpoints import (
    BRONZE,
    SILVER,
    STREAMS,
    checkpoint_id,
    entries,
    folder,
    listed_files,
    needed_entries,
    offset,
    position_of,
)

OFFSET_KEY = {BRONZE: "logOffset", SILVER: "reservoirVersion"}


def examine_all(settings: Settings) -> list[Finding]:
    """Both streams."""
    return [finding for stream in STREAMS for finding in examine(settings, stream)]


def examine(settings: Settings, stream: str) -> list[Finding]:
    """All that is wrong with a stream's checkpoint, and with the shape of its tables; empty when it may start."""
    home = folder(settings, stream)
    found = [Finding(stream, Kind.CONTRACT, what) for what in changed_contracts(settings, stream)]
    found += _left_checksums(stream, home)
    offsets, commits = entries(home / "offsets"), entries(home / "commits")
    try:
        checkpoint = checkpoint_id(settings, stream)
    except (OSError, ValueError, KeyError, TypeError):
        return found + _without_id(settings, stream, is_used=bool(offsets or commits))
    held = max(evidence.written(settings, stream, checkpoint).values())
    done, newest = max(commits, default=-1), max(offsets, default=-1)
    if max(held, done) > newest:
        what = f"its offsets end at batch {newest} and batch {max(held, done)} is done"
        return [*found, Finding(stream, Kind.LOST, what)]
    if newest < 0:
        return found
    return found + _entries(settings, stream, newest, done, held)


def _left_checksums(stream: str, home: Path) -> list[Finding]:
    """Checksums of entries that are gone and will be written again: Spark would take its own rename for another query's."""
    found: list[Finding] = []
    for part in ("offsets", "commits", "sources/0"):
        names = {path.name for path in (home / part).glob("*")}
        newest = max((int(name) for name in names if name.isdigit()), default=-1)
        for checksum in sorted((home / part).glob(".*.crc")):
            entry = checksum.name[1 : -len(".crc")]
            if entry not in names and entry.isdigit() and int(entry) > newest:
                found.append(
                    Finding(stream, Kind.REPAIR, f"{part}/{entry} is gone and its checksum is left", (checksum,))
                )
    return found


def _without_id(settings: Settings, stream: str, *, is_used: bool) -> list[Finding]:
    metadata = folder(settings, stream) / "metadata"
    if is_used or evidence.holds_data(settings, stream):
        what = "its metadata is torn" if metadata.exists() else "its checkpoint is gone, or was never here"
        return [Finding(stream, Kind.LOST, f"{what}, and its tables hold data")]
    if metadata.exists():
        return [Finding(stream, Kind.REPAIR, "its metadata is torn, before it ever ran", with_checksum(metadata))]
    return []


def _entries(settings: Settings, stream: str, newest: int, done: int, held: int) -> list[Finding]:
    home = folder(settings, stream)
    last = _offset(stream, home / "offsets" / str(newest))
    if last is None:
        if max(held, done) >= newest:
            return [Finding(stream, Kind.LOST, f"offsets/{newest} is torn, and its batch has begun to write")]
        drop = with_checksum(home / "offsets" / str(newest))
        return [Finding(stream, Kind.REPAIR, f"offsets/{newest} is torn; nothing of its batch is written", drop)]
    if newest > 0 and _offset(stream, home / "offsets" / str(newest - 1)) is None:
        return [
            Finding(stream, Kind.LOST, f"offsets/{newest - 1} is missing or torn, from where batch {newest} begins")
        ]
    found: list[Finding] = []
    if done >= 0 and not _is_commit(home / "commits" / str(done)):
        drop = with_checksum(home / "commits" / str(done))
        found.append(Finding(stream, Kind.REPAIR, f"commits/{done} is torn; its batch is delivered again", drop))
    elif done < newest:
        found.append(Finding(stream, Kind.NOTE, f"batch {newest} is not committed; the next run delivers it again"))
    return found + (_listed(settings, last) if stream == BRONZE else _bronze_of(settings, last))


def _offset(stream: str, path: Path) -> dict[str, Any] | None:
    try:
        found = offset(path)
    except (OSError, ValueError):
        return None
    return found if OFFSET_KEY[stream] in found else None


def _is_commit(path: Path) -> bool:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    try:
        return len(lines) > 1 and lines[0] == "v1" and isinstance(json.loads(lines[1]), dict)
    except ValueError:
        return False


def _listed(settings: Settings, last: dict[str, Any]) -> list[Finding]:
    """Bronze: the list of files ever seen must be whole up to the offset, and speak of this home."""
    folder_of_list = folder(settings, BRONZE) / "sources" / "0"
    read_to = int(last["logOffset"])
    try:
        needed = needed_entries(folder_of_list)
    except ValueError as error:
        return [Finding(BRONZE, Kind.LOST, f"sources/0/{error}: it no longer knows which files it has read")]
    ends = max((int(p.name.removesuffix(".compact")) for p in needed), default=-1)
    if ends < read_to:
        return [
            Finding(BRONZE, Kind.LOST, f"sources/0 ends at {ends} and {read_to} is read: files would be read again")
        ]
    for path in needed:
        try:
            uris = list(listed_files(path))
        except (OSError, ValueError, KeyError):
            return [_torn_list(path, read_to)]
        if any(Path(unquote(urlparse(uri).path)).parent != settings.sealed for uri in uris):
            what = "its list of files is of another folder: the home was moved, or the checkpoint is of another one"
            return [Finding(BRONZE, Kind.LOST, what)]
    return []


def _torn_list(path: Path, read_to: int) -> Finding:
    if path.name.isdigit() and int(path.name) > read_to:
        return Finding(BRONZE, Kind.REPAIR, f"sources/0/{path.name} is torn; no batch has read it", with_checksum(path))
    return Finding(BRONZE, Kind.LOST, f"sources/0/{path.name} is torn: it no longer knows which files it has read")


def _bronze_of(settings: Settings, last: dict[str, Any]) -> list[Finding]:
    """Silver: the position must be one in this bronze."""
    bronze = evidence.table(settings, "bronze_messages")
    at = position_of(last)
    if bronze is None or str(bronze.metadata().id) != at.table_id:
        return [Finding(SILVER, Kind.LOST, "it has read another bronze table than the one that is here")]
    if at.version > bronze.version() + 1:
        what = f"it stands at version {at.version} of bronze, which has only {bronze.version()}"
        return [Finding(SILVER, Kind.LOST, what)]
    if (
        at.version <= bronze.version()
        and not deltalog.commit_file(lake_table("bronze_messages").path(settings), at.version).exists()
    ):
        return [Finding(SILVER, Kind.LOST, f"the log of bronze no longer has version {at.version}, where it stands")]
    return []


def with_checksum(path: Path) -> tuple[Path, ...]:
    """The file and what Hadoop keeps beside it."""
    return (path, path.with_name(f".{path.name}.crc"))
