"""Puts an earlier published file back: the same swap as a publish, without a build and without a gate, which it has passed."""

from dataclasses import replace
from pathlib import Path

from jobs.core.errors import PermanentError, UsageError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.reader import require_file_target
from jobs.warehouse.sidecar import Sidecar, read_sidecar
from jobs.warehouse.swap import finish_broken_off, previous, swap_in


def rollback(settings: Settings, build: str | None = None) -> Sidecar:
    """Publishes the build before the present one again, or the one named, which may be a later one too.

    Without a name it goes back once: run again, it finds its own work done and changes nothing, and so it does after a
    crash. The replaced build is kept, so that it can be named. Raises PermanentError when there is nothing to go back to or
    the kept file is damaged, UsageError for an unknown build id and on the target spark, RetryableError while another writer
    is at work.
    """
    require_file_target(settings, "a rollback")
    with writer_lock(settings) as fence:
        finish_broken_off(settings)
        current = read_sidecar(settings)
        if current and (build == current.build_id or (build is None and current.withdrawn)):
            return current
        file, known = _choose(settings, build, current)
        if hash_file(file) != known.sha256:
            raise PermanentError(f"the kept file of build {known.build_id} is damaged; run: c360 warehouse build")
        withdrawn = current.build_id if current else None
        sidecar = replace(known, epoch=fence.epoch, withdrawn=withdrawn)
        swap_in(fence, file, sidecar)
        return sidecar


def _choose(settings: Settings, build: str | None, current: Sidecar | None) -> tuple[Path, Sidecar]:
    kept = [(file, known) for file, known in previous(settings) if not current or known.build_id != current.build_id]
    if not kept:
        raise PermanentError("no earlier build is kept (C360_WAREHOUSE_PREVIOUS); run: c360 warehouse build")
    for file, known in kept:
        if build in (None, known.build_id):
            return file, known
    raise UsageError(f"no build {build} is kept; kept: {', '.join(known.build_id for _, known in kept)}")
