"""The swap of the published file, the same for a publish and for a rollback, and what finishes one that was broken off.

Order: the present file is kept under `previous/`, the new sidecar is written beside (`….next.json`), the file is replaced in
one step, the new sidecar takes the place of the old one. A crash leaves the old file or the new one, and whichever it
is, one of the two sidecars names its sha256.
"""

import logging
import os
import shutil
from pathlib import Path

from jobs.core.failpoints import Failpoint, Sabotage, fail_at, sabotaged
from jobs.core.files import sync
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.epoch import Fence
from jobs.warehouse.paths import pending_file, previous_folder, sidecar_file, wal_file
from jobs.warehouse.sidecar import Sidecar, read, read_sidecar, write

log = logging.getLogger(__name__)
SUFFIX = ".duckdb"


def swap_in(fence: Fence, file: Path, sidecar: Sidecar) -> None:
    """Moves `file`, synced and described by `sidecar`, onto the published path.

    Raises RetryableError when the writer's epoch is no longer the newest; then everything is as it was.
    """
    settings = fence.settings
    published = settings.warehouse_file
    _keep_current(settings, but=sidecar.build_id)
    fence.check()
    write(pending_file(settings), sidecar)
    fail_at(settings, Failpoint.AFTER_SYNC_BEFORE_REPLACE)
    fence.check()
    wal_file(published).unlink(missing_ok=True)
    if sabotaged(settings, Sabotage.PUBLISH_BY_COPY):
        shutil.copyfile(file, published)
    else:
        file.replace(published)
    sync(published.parent)
    fail_at(settings, Failpoint.AFTER_REPLACE_BEFORE_SIDECAR)
    _finish(settings)


def finish_broken_off(settings: Settings) -> bool:
    """After a crash within a swap: the sidecar follows the file; what was not swapped in is forgotten. True if there was one.

    Under the writer lock only: while a swap is going on it looks the same.
    """
    pending, published = read(pending_file(settings)), settings.warehouse_file
    if pending and published.exists() and hash_file(published) == pending.sha256:
        _finish(settings)
    else:
        pending_file(settings).unlink(missing_ok=True)
        prune(settings)
    return pending is not None


def previous(settings: Settings) -> list[tuple[Path, Sidecar]]:
    """The files that are kept for a rollback, the last published one first."""
    found = [(path, read(path.with_suffix(".json"))) for path in previous_folder(settings).glob(f"*{SUFFIX}")]
    return sorted(((path, known) for path, known in found if known), key=lambda pair: -pair[1].epoch)


def prune(settings: Settings) -> None:
    """Leaves as many as the settings say, besides the present one."""
    current = read_sidecar(settings)
    others = [path for path, known in previous(settings) if current is None or known.build_id != current.build_id]
    kept = {name for path in others[: settings.warehouse_previous] for name in (path, path.with_suffix(".json"))}
    for path in previous_folder(settings).glob("*"):
        if path not in kept:
            path.unlink(missing_ok=True)


def _finish(settings: Settings) -> None:
    pending_file(settings).replace(sidecar_file(settings))
    sync(settings.warehouse_file.parent)
    prune(settings)


def _keep_current(settings: Settings, *, but: str) -> None:
    """A second name for the present file: nothing is copied where the disk can link."""
    current, published = read_sidecar(settings), settings.warehouse_file
    if not settings.warehouse_previous or current is None or current.build_id == but or not published.exists():
        return
    if hash_file(published) != current.sha256:
        log.warning("the published file is not what its sidecar says; it is not kept for a rollback")
        return
    folder = previous_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{current.build_id}{SUFFIX}"
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    try:
        os.link(published, draft)
    except OSError:  # a disk without links
        shutil.copyfile(published, draft)
        sync(draft)
    draft.replace(target)
    draft.unlink(missing_ok=True)  # two names of one file: replacing one by the other leaves both
    write(target.with_suffix(".json"), current)
