"""Sealing: turns delivered files and log segments into the numbered Parquet files that the stream reads.

A file is known by its content. Spark's own file source would never read a back-dated file, a re-upload under the same
name or appended lines, and would stop at a truncated gzip; so it is only shown sealed files: whole, checked, numbered,
never changed again. The manifest row is written before the sealed file appears, and what a crash left between the two
is finished at the next start: the stream can only ever see what the manifest knows.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from expectations import contracts
from jobs.core.context import Context
from jobs.core.failpoints import Failpoint, Sabotage, fail_at, sabotaged
from jobs.core.files import sync
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.ingest.landing.files import LOG_SOURCE, READY_MARK, is_being_written, landing_files, log_segments
from jobs.ingest.landing.inspect import inspect_file
from jobs.ingest.landing.manifest import Manifest, decision, signature
from jobs.ingest.landing.preflight import RefusedFileError, check_file
from jobs.ingest.landing.readers import Message, read_log, read_messages
from jobs.ingest.landing.sealed import SealedGroup
from jobs.ingest.reasons import Reason

log = logging.getLogger(__name__)
GROUP_FILES = 200
NO_VALUE = ""


@dataclass
class Landed:
    """What became of the files that one run had to decide about."""

    loaded: int = 0
    rejected: int = 0
    messages: int = 0
    refusals: list[str] = field(default_factory=list)


def sealed_folder(settings: Settings) -> Path:
    """Where sealed files wait for the bronze stream."""
    return settings.sealed


def seal_new_files(context: Context, *, retry_refused: bool = False, manifest: Manifest | None = None) -> Landed:
    """Decides about every file that is new or changed, seals the good, records all; a loaded log segment is removed.

    `manifest` is kept by a caller that comes again and again, so that the table is read once.
    """
    manifest = manifest or Manifest.open(context.settings)
    finish_sealing(context.settings, manifest.last_number)
    sealer = _Sealer(context, manifest)
    found = chain(landing_files(context.settings), log_segments(context.settings))
    for source, path in found:
        sealer.take(source, path, retry_refused=retry_refused)
    sealer.close()
    return sealer.landed


def finish_sealing(settings: Settings, last_number: int) -> None:
    """After a crash: shows the stream what the manifest has recorded, and removes what it has not."""
    for path in sealed_folder(settings).glob(".*.partial"):
        number = path.name.removeprefix(".").removesuffix(".partial")
        if number.isdigit() and int(number) <= last_number:
            path.rename(visible(path))
        else:
            path.unlink()


def visible(partial: Path) -> Path:
    """The name under which the stream sees a sealed file."""
    return partial.with_name(partial.name.removeprefix(".").removesuffix(".partial") + ".parquet")


class _Sealer:
    """Goes through the files of one run, gathering small ones into one sealed file and one manifest commit."""

    def __init__(self, context: Context, manifest: Manifest) -> None:
        self.context = context
        self.manifest = manifest
        self.landed = Landed()
        self.rows: list[dict[str, Any]] = []
        self.segments: list[Path] = []
        self.group = SealedGroup(sealed_folder(context.settings))

    def take(self, source: str, path: Path, *, retry_refused: bool) -> None:
        """Decides about one file, or passes over it when nothing has changed."""
        try:
            mark = signature(path)
        except FileNotFoundError:
            return  # moved away since it was listed, and nobody had promised it to us
        if self.manifest.is_settled(source, path.name, mark, retry_refused=retry_refused):
            if source == LOG_SOURCE:
                path.unlink(missing_ok=True)  # recorded before a crash; its messages are sealed
            return
        row = self._decide(source, path, mark)
        if row["status"] == "loaded" or self.manifest.is_news(row):
            self._add(row, path)
        elif row["status"] == "rejected":
            self._refuse(row)

    def _decide(self, source: str, path: Path, mark: str) -> dict[str, Any]:
        number = self.manifest.last_number + 1
        row = decision(self.context, number, source, path, digest=NO_VALUE, mark=mark)
        try:
            if path.is_symlink() or not path.is_file():
                raise RefusedFileError(Reason.NOT_REGULAR, "only regular files are loaded")
            if source != LOG_SOURCE:
                self._wait_for(path)
            row["sha256"] = hash_file(path)
            row["row_count"] = self._read(number, source, path, row["sha256"])
        except RefusedFileError as refusal:
            self.group.drop()
            row |= {"status": refusal.status, "reason": refusal.reason, "details": refusal.details}
        except FileNotFoundError:
            self.group.drop()
            row |= {"status": "vanished", "details": "it was listed, and gone when it was read; deliver it again"}
        except OSError as error:
            self.group.drop()
            row |= {"status": "waiting", "details": f"cannot be read: {error.strerror}; looked at again by each run"}
        return row

    def _wait_for(self, path: Path) -> None:
        if is_being_written(path):
            raise RefusedFileError(None, "a process still has it open for writing", status="waiting")

    def _read(self, number: int, source: str, path: Path, digest: str) -> int:
        if source == LOG_SOURCE:
            return self._seal(number, LOG_SOURCE, path, read_log(path))
        self._check_new(source, path, digest)
        contract = contracts.sources()[source]
        if contract.ready == "marker" and not path.with_name(path.name + READY_MARK).exists():
            raise RefusedFileError(None, f"waits for {path.name}{READY_MARK} beside it", status="waiting")
        check_file(path, contract)
        if not self.manifest.is_released(source, path.name, digest):
            first = all(key[0] != source for key in self.manifest.loaded)
            inspect_file(path, contract, is_first_load=first)
        return self._seal(number, source, path, read_messages(path, contract))

    def _check_new(self, source: str, path: Path, digest: str) -> None:
        if source not in contracts.sources():
            raise RefusedFileError(Reason.UNKNOWN_SOURCE, "no contract in expectations/contracts/sources")
        if sabotaged(self.context.settings, Sabotage.NO_MANIFEST_CHECK):
            return
        before = self.manifest.loaded.get((source, path.name))
        if before is not None and before["sha256"] != digest:
            grown = path.stat().st_size > before["size_bytes"]
            what = "it has grown since it was loaded" if grown else "the name was delivered before with other content"
            raise RefusedFileError(Reason.NAME_REUSED, f"{what}; deliver it under a new name")
        if (source, digest) in self.manifest.contents:
            raise RefusedFileError(None, "the same bytes were delivered before", status="repeated")

    def _seal(self, number: int, source: str, path: Path, messages: Iterator[Message]) -> int:
        received = self.context.clock.now()
        rows = self.group.write(number, source, path, messages, received)
        log.info("sealed %s/%s: %d messages", source, path.name, rows)
        return rows

    def _add(self, row: dict[str, Any], path: Path) -> None:
        row["file_number"] = self.manifest.next_number()
        self.rows.append(row)
        self.manifest.remember(row)
        if row["status"] == "loaded":
            self.landed.loaded += 1
            self.landed.messages += row["row_count"]
            if row["source"] == LOG_SOURCE:
                self.segments.append(path)
        elif row["status"] != "repeated":
            self._refuse(row)
        if len(self.rows) >= GROUP_FILES or self.group.is_full:
            self.close()

    def _refuse(self, row: dict[str, Any]) -> None:
        name = f"{row['source']}/{row['file_name']}"
        self.landed.rejected += 1
        self.landed.refusals.append(f"{name}: {row['reason'] or row['status']} ({row['details']})")
        log.warning("%s %s: %s", row["status"], name, row["details"])

    def close(self) -> None:
        """Makes the gathered decisions count: sealed bytes on disk, then the manifest, then visible to the stream."""
        settings = self.context.settings
        partials = self.group.finish()
        fail_at(settings, Failpoint.AFTER_SEAL_BEFORE_MANIFEST)
        self.manifest.record(self.rows)
        fail_at(settings, Failpoint.AFTER_MANIFEST_BEFORE_RENAME)
        for partial in partials:
            partial.rename(visible(partial))
        if partials:
            sync(self.group.folder)
        for path in self.segments:
            path.unlink(missing_ok=True)
        self.rows, self.segments = [], []
        self.group = SealedGroup(sealed_folder(settings))
