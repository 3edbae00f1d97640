"""Whether the published warehouse is whole, and what to do if it is not. Looks only; see repair.py for the mending."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import duckdb

from jobs.core.errors import PermanentError, RetryableError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.content import content_hash
from jobs.warehouse.lock import is_writer_at_work
from jobs.warehouse.paths import pending_file, sidecar_file, wal_file
from jobs.warehouse.private import abandoned_drafts, abandoned_folders
from jobs.warehouse.reader import build_id, open_published
from jobs.warehouse.sidecar import Sidecar, read, read_sidecar, storage_version
from jobs.warehouse.stamp import foreign, stamps
from jobs.warehouse.swap import previous

TRIES = 5
REBUILD = "run: c360 warehouse doctor --repair (builds, judges and publishes anew from the lake)"
MENDED = "run: c360 warehouse publish, or c360 warehouse doctor --repair"
REMOVED = "run: c360 warehouse doctor --repair (removes it)"


class Kind(StrEnum):
    """What can be wrong."""

    MISSING = "missing"  # no published file
    DAMAGED = "damaged"  # not the bytes that were published, or not readable as the build that it claims to be
    UNKNOWN = "unknown"  # no sidecar to compare with
    BROKEN_OFF = "broken off"  # a swap that a crash has ended
    LEFTOVER = "leftover"  # a write-ahead log beside the published file
    ABANDONED = "abandoned"  # a private folder or draft of a killed command
    PREVIOUS = "previous"  # a file kept for a rollback is damaged
    ROOM = "room"  # too little for the next build


NEEDS_BUILD = (Kind.MISSING, Kind.DAMAGED)
HARMLESS = (Kind.BROKEN_OFF, Kind.ABANDONED, Kind.PREVIOUS, Kind.ROOM)  # readers of the published file do not notice


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and the command that puts it right."""

    kind: Kind
    what: str
    remedy: str

    @property
    def blocks(self) -> bool:
        """Whether readers of the published warehouse are affected, so that the doctor ends with exit code 1."""
        return self.kind not in HARMLESS

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def diagnose(settings: Settings) -> list[Finding]:
    """Everything that is wrong, in the order of looking; empty for a whole warehouse.

    A file whose sha256 is not that of its sidecar is not opened: what damaged blocks do to the engine is anybody's guess.
    Raises RetryableError when it was published anew during each of a few looks.
    """
    for _ in range(TRIES):
        before = _state(settings)
        found = [*_published(settings), *_around(settings)]
        if _state(settings) == before:
            return found
    raise RetryableError("the warehouse was published anew at each look; run it again later")


def _state(settings: Settings) -> tuple[object, ...]:
    """Changes whenever a swap is at work."""
    published = settings.warehouse_file
    inode = published.stat().st_ino if published.exists() else None
    return inode, read_sidecar(settings), read(pending_file(settings))


def _published(settings: Settings) -> Iterator[Finding]:
    published = settings.warehouse_file
    if not published.exists():
        yield Finding(Kind.MISSING, f"there is no published warehouse at {published}", REBUILD)
        return
    if (wal := wal_file(published)).exists():
        yield Finding(Kind.LEFTOVER, f"{wal.name} beside the published file keeps it from being opened", REMOVED)
    known = [sidecar for sidecar in (read_sidecar(settings), read(pending_file(settings))) if sidecar]
    if not known:
        what = "cannot be read" if sidecar_file(settings).exists() else "is missing"
        yield Finding(Kind.UNKNOWN, f"the sidecar {sidecar_file(settings).name} {what}", REBUILD)
        return
    digest = hash_file(published)
    match = next((sidecar for sidecar in known if sidecar.sha256 == digest), None)
    if match is None:
        size = published.stat().st_size
        what = f"the sha256 of {published.name} ({size:,} bytes) is not that of its sidecar (build {known[0].build_id})"
        yield Finding(Kind.DAMAGED, what, _remedy(settings))
    elif not wal_file(published).exists():
        yield from _content(settings, match)


def _content(settings: Settings, known: Sidecar) -> Iterator[Finding]:
    """Opens the file and reads every value of every table."""
    try:
        connection = open_published(settings)
    except PermanentError as error:
        yield Finding(Kind.DAMAGED, str(error).partition("; run:")[0], _remedy(settings))
        return
    try:
        found = build_id(connection)
        if found != known.build_id:
            yield Finding(Kind.DAMAGED, f"the file is of build {found}, its sidecar of {known.build_id}", REBUILD)
        elif others := foreign(connection, known.build_id):
            yield Finding(Kind.DAMAGED, f"{len(others)} tables are of another build: {', '.join(others[:3])}", REBUILD)
        for name in stamps(connection):
            try:
                content_hash(connection, name)
            except duckdb.Error as error:
                said = " ".join(str(error).split())[:200]
                yield Finding(Kind.DAMAGED, f"{name} cannot be read: {said}", _remedy(settings))
    finally:
        connection.close()
    if (version := storage_version(settings.warehouse_file)) != known.storage_version:
        yield Finding(
            Kind.DAMAGED, f"storage version {version}, its sidecar says {known.storage_version}", _remedy(settings)
        )


def _around(settings: Settings) -> Iterator[Finding]:
    """What stands beside the file: a broken-off swap, drafts of killed commands, files for a rollback, the room there."""
    is_quiet = not is_writer_at_work(settings)
    if pending_file(settings).exists() and is_quiet:
        yield Finding(Kind.BROKEN_OFF, "a publish or rollback was broken off", MENDED)
    for path in (*abandoned_folders(settings), *(abandoned_drafts(settings) if is_quiet else ())):
        yield Finding(Kind.ABANDONED, f"a killed command has left {path.relative_to(settings.home)}", REMOVED)
    for file in damaged_previous(settings):
        what = f"the file kept for a rollback to {file.stem} is damaged"
        yield Finding(Kind.PREVIOUS, what, REMOVED)
    size = settings.warehouse_file.stat().st_size if settings.warehouse_file.exists() else 0
    free = shutil.disk_usage(settings.home).free
    if free < 2 * size:
        what = f"{free // 2**20:,} MiB are free; a build and the file before it need {2 * size // 2**20:,}"
        yield Finding(Kind.ROOM, what, "make room, or set C360_WAREHOUSE_PREVIOUS to 0")


def damaged_previous(settings: Settings) -> list[Path]:
    """Files that a rollback would refuse."""
    return [file for file, known in previous(settings) if hash_file(file) != known.sha256]


def _remedy(settings: Settings) -> str:
    """The rebuild, and what readers can have until it is done."""
    damaged = damaged_previous(settings)
    usable = [known.build_id for file, known in previous(settings) if file not in damaged]
    return f"{REBUILD}; until then: c360 warehouse rollback {usable[0]}" if usable else REBUILD
