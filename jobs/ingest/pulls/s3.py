"""New objects of an S3 prefix into landing/, each once: known by bucket, key, etag, version and size, never by a date.

The local name is made from that identity, so that whatever a crash left half done is done again to the same effect. The
object's own name is kept as a suffix for people where it is harmless; it is never a path.
"""

import logging
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from expectations import contracts
from expectations.contracts import SourceContract
from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.hashing import hash_parts
from jobs.ingest.pulls.landing_file import READY_MARK, LandingFile, landing_folder, pull_lock
from jobs.ingest.pulls.ledger import FETCHED, Ledger, open_ledger
from jobs.ingest.pulls.options import S3Options
from jobs.ingest.pulls.report import PullReport
from jobs.transport.s3 import ObjectNotTakenError, ObjectStore, StoredObject

log = logging.getLogger(__name__)
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
HEX = 24


def pull_objects(context: Context, source: str, options: S3Options, *, store: ObjectStore | None = None) -> PullReport:
    """Fetches what is new. An object that cannot be taken does not stop the others; the report names it.

    Raises AuthError, PermanentError, RetryableError when the store itself fails; what was fetched until then counts.
    """
    if source not in contracts.sources():
        raise UsageError(f"source {source!r} has no contract; known: {', '.join(contracts.sources())}")
    with pull_lock(context.settings, source), open_ledger(context.settings) as ledger:
        puller = _Puller(context, contracts.sources()[source], store or ObjectStore(context.settings), ledger)
        puller.run(options)
    return puller.report


def _deliveries(listed: Iterable[StoredObject], contract: SourceContract) -> Iterator[StoredObject]:
    """Objects that are data. `<key>.done` only speaks of another one, which waits for it if the contract says so."""
    if contract.ready != "marker":
        yield from (stored for stored in listed if not stored.key.endswith(READY_MARK))
        return
    everything = list(listed)
    keys = {stored.key for stored in everything}
    yield from (stored for stored in everything if stored.key + READY_MARK in keys)


def local_name(stored: StoredObject) -> str:
    """The name in landing/: made from what the object is, then its own name where that is harmless."""
    made = hash_parts([stored.bucket, stored.key, stored.etag, stored.version, stored.size])[:HEX]
    own = stored.key.rsplit("/", 1)[-1]
    return f"{made}-{own}" if SAFE_NAME.fullmatch(own) else made


def _is_there(path: Path, size: int) -> bool:
    """Whether a run that ended before it could take note has landed it; the name says which bytes it holds."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


class _Puller:
    """One run over one prefix."""

    def __init__(self, context: Context, contract: SourceContract, store: ObjectStore, ledger: Ledger) -> None:
        self.context = context
        self.contract = contract
        self.store = store
        self.ledger = ledger
        self.report = PullReport(contract.name)

    def run(self, options: S3Options) -> None:
        """Goes through the prefix."""
        listed = self.store.list(options.bucket, options.prefix, all_versions=options.all_versions)
        for stored in _deliveries(listed, self.contract):
            self.report.received += 1
            if self.ledger.has(self.contract.name, stored):
                self.report.known += 1
            else:
                self._take(stored)

    def _take(self, stored: StoredObject) -> None:
        report, name = self.report, local_name(stored)
        try:
            self._land(stored, name)
            status = FETCHED
            report.landed, report.files = report.landed + 1, report.files + 1
        except ObjectNotTakenError as problem:
            status = problem.status
            report.problems.append(f"{stored.key[:200]!r}: {status}: {problem}")
            log.warning("%s: %s", report.name, report.problems[-1])
        file_name = name if status == FETCHED else None
        at = self.context.clock.now()
        self.ledger.note(self.contract.name, stored, status, file_name, run_id=self.context.run_id, at=at)

    def _land(self, stored: StoredObject, name: str) -> None:
        """The object stands in landing/ when this returns: from now, or from a run that could not take note of it."""
        settings = self.context.settings
        if not _is_there(landing_folder(settings, self.contract.name) / name, stored.size):
            with LandingFile(settings, self.contract, name) as file:
                for _ in self.store.fetch(stored, file.out):
                    fail_at(settings, Failpoint.DURING_PULL)
                file.sync()
                fail_at(settings, Failpoint.AFTER_PULL_BEFORE_LANDING)
                file.land(name)
            log.info("%s: %d bytes in %s", self.report.name, stored.size, name)
        fail_at(settings, Failpoint.AFTER_LANDING_BEFORE_RECORD)
