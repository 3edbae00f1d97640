"""Publishes the private build: checked, written down, and swapped onto the fixed path in one step."""

from pathlib import Path

import duckdb

from expectations import contracts
from jobs.core.errors import GateError, PermanentError, RetryableError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.files import sync
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse.epoch import Fence
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file, sidecar_file, wal_file
from jobs.warehouse.reader import (
    build_epoch,
    build_id,
    open_build,
    open_published,
    require_file_target,
    require_own_run,
)
from jobs.warehouse.sidecar import Sidecar, describe, read_sidecar, write
from jobs.warehouse.stamp import foreign
from jobs.warehouse.swap import finish_broken_off, swap_in


def publish(settings: Settings) -> Sidecar:
    """Replaces the published warehouse by the private build; readers never wait and never see half of it.

    Raises GateError unless the gate `marts` has passed this very build, PermanentError when the build is not whole,
    UsageError on the target spark, RetryableError when it is of another run, older than what is published, or another
    writer has taken over. The published file stays as it was in all cases. Publishing twice is publishing once; a publish
    that was broken off is finished by the next one.
    """
    require_file_target(settings, "publishing")
    with writer_lock(settings) as fence:
        finish_broken_off(settings)
        file = build_file(settings)
        if not file.exists():
            return _already_published(settings, fence)
        fail_at(settings, Failpoint.BEFORE_CHECKPOINT)
        _checkpoint(file)
        fail_at(settings, Failpoint.AFTER_CHECKPOINT_BEFORE_SYNC)
        connection = open_build(settings)
        try:
            found, epoch = str(build_id(connection)), build_epoch(connection)
            _require_whole(connection, found)
        finally:
            connection.close()
        require_gate(settings, found)
        _require_newer(settings, epoch)
        sync(file)
        sidecar = describe(file, found, epoch=fence.epoch, build_epoch=epoch)
        swap_in(fence, file, sidecar)
        return sidecar


def require_gate(settings: Settings, build: str) -> None:
    """Raises GateError unless every gated mart was judged in this build and no critical expectation failed."""
    columns = ["table_name", "severity", "is_success"]
    judged = delta.read(settings, "ops_quality_results", columns, where={"gate": "marts", "table_version": build})
    rows = judged.to_pylist()
    failed = sorted({row["table_name"] for row in rows if row["severity"] == "critical" and not row["is_success"]})
    if failed:
        raise GateError(f"gate marts blocked this build ({', '.join(failed)}); nothing was published")
    missing = {c.name for c in contracts.marts().values() if c.gated} - {row["table_name"] for row in rows}
    if missing or not rows:
        part = f"{', '.join(sorted(missing))} of this build" if rows else "this build"
        raise GateError(f"gate marts has not judged {part}; run: c360 quality gate marts")


def _checkpoint(file: Path) -> None:
    connection = duckdb.connect(str(file))
    try:
        connection.execute("checkpoint")
    finally:
        connection.close()
    if wal_file(file).exists():
        raise PermanentError("the build still has a write-ahead log after its checkpoint; run: c360 warehouse build")


def _require_whole(connection: duckdb.DuckDBPyConnection, build: str) -> None:
    """All marts are there, and every table is of this build."""
    there = {
        row[0]
        for row in connection.execute("select table_name from duckdb_tables where schema_name = 'marts'").fetchall()
    }
    missing = sorted(set(contracts.marts()) - there)
    if missing:
        raise PermanentError(f"the build lacks marts {', '.join(missing)}; run: c360 warehouse build")
    if others := foreign(connection, build):
        raise PermanentError(
            f"{len(others)} tables do not carry the id of this build ({', '.join(others[:3])}); run: c360 warehouse build"
        )


def _require_newer(settings: Settings, epoch: int) -> None:
    """A build that was begun before the published one was is a leftover: of a writer that stood still, or of a copy."""
    published = read_sidecar(settings)
    if published is not None and epoch < published.build_epoch:
        raise RetryableError(
            f"the private build is of epoch {epoch}, older than the published one ({published.build_epoch}); "
            "nothing was published; run: c360 warehouse build"
        )


def _already_published(settings: Settings, fence: Fence) -> Sidecar:
    """The build has been moved away by an earlier publish: that one stands. A missing sidecar is written anew."""
    if not settings.warehouse_file.exists():
        raise PermanentError("there is no build to publish; run: c360 warehouse build")
    connection = open_published(settings)
    try:
        require_own_run(settings, connection, "published")
        found, epoch = str(build_id(connection)), build_epoch(connection)
    finally:
        connection.close()
    known = read_sidecar(settings)
    if known is not None and known.build_id == found:
        return known
    if sidecar_file(settings).exists():
        raise PermanentError("the published file is not what its sidecar says; run: c360 warehouse doctor")
    sidecar = describe(settings.warehouse_file, found, epoch=fence.epoch, build_epoch=epoch)
    write(sidecar_file(settings), sidecar)
    return sidecar
