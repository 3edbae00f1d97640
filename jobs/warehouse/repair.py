"""Puts right what the doctor has found. The warehouse holds nothing of its own: it is built anew from the lake."""

import shutil
import subprocess
from collections.abc import Iterator

from jobs.core.errors import ExitCode, GateError, RetryableError
from jobs.core.settings import Settings
from jobs.warehouse.doctor import NEEDS_BUILD, Finding, Kind, damaged_previous
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import wal_file
from jobs.warehouse.private import abandoned_drafts, abandoned_folders
from jobs.warehouse.reader import require_file_target
from jobs.warehouse.swap import finish_broken_off

REBUILDING = (("warehouse", "build"), ("quality", "gate", "marts"), ("warehouse", "publish"))


def repair(settings: Settings, found: list[Finding]) -> Iterator[str]:
    """Mends what can be mended in place, then rebuilds if need be; yields what it does, before it does it.

    Raises GateError when the gate blocks the new build, RetryableError when another step fails, UsageError on the target spark.
    """
    require_file_target(settings, "a repair")
    kinds = {finding.kind for finding in found}
    with writer_lock(settings):
        if finish_broken_off(settings):
            yield "a swap that was broken off is finished"
        if (wal := wal_file(settings.warehouse_file)).exists():
            yield f"{wal.name} is removed: published files have none"
            wal.unlink()
        for file in damaged_previous(settings):
            yield f"{file.name}, damaged, is removed"
            file.unlink()
            file.with_suffix(".json").unlink(missing_ok=True)
        for path in (*abandoned_folders(settings), *abandoned_drafts(settings)):
            yield f"{path.name}, left by a killed command, is removed"
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if kinds & {*NEEDS_BUILD, Kind.UNKNOWN}:
        yield "the warehouse is built anew from the lake"
        for step in REBUILDING:
            yield f"c360 {' '.join(step)}"
            _run(settings, step)


def _run(settings: Settings, step: tuple[str, ...]) -> None:
    """A command, as a DAG's task would run it; its output is that of this one."""
    code = subprocess.run([settings.executable, *step], env=settings.child_environment, check=False).returncode
    if code:
        kind = GateError if code == ExitCode.GATED else RetryableError
        raise kind(f"repair stopped: c360 {' '.join(step)} ended with exit code {code}; see its output above")
