"""Publishes the private build: checked, written down, and swapped onto the fixed path in one step."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from expectations import contracts
from jobs.core.errors import GateError, PermanentError
from jobs.core.files import sync
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.lake import delta, duck
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file, sidecar_file
from jobs.warehouse.reader import build_id, open_build, open_published, require_own_run


@dataclass(frozen=True)
class Sidecar:
    """What the published file is; `sha256` is of the file, `storage_version` tells which DuckDB can read it."""

    build_id: str
    sha256: str
    duckdb_version: str
    storage_version: str


def publish(settings: Settings) -> Sidecar:
    """Replaces the published warehouse by the private build; readers never wait and never see half of it.

    Raises GateError unless the gate `marts` has passed this very build, PermanentError when the build is not whole,
    RetryableError when it is of another run. The published file stays as it was in all cases.
    Publishing twice is publishing once.
    """
    with writer_lock(settings):
        file = build_file(settings)
        if not file.exists():
            return _already_published(settings)
        _checkpoint(settings, file)
        connection = open_build(settings)
        try:
            _require_marts(connection)
            found = str(build_id(connection))
        finally:
            connection.close()
        require_gate(settings, found)
        sidecar = _describe(file, found)
        sync(file)
        settings.warehouse_file.with_name(settings.warehouse_file.name + ".wal").unlink(missing_ok=True)
        file.replace(settings.warehouse_file)
        _write_sidecar(settings, sidecar)
        return sidecar


def require_gate(settings: Settings, build: str) -> None:
    """Raises GateError unless every gated mart was judged in this build and no critical expectation failed."""
    rows = [
        row
        for row in delta.read(settings, "ops_quality_results").to_pylist()
        if row["gate"] == "marts" and row["table_version"] == build
    ]
    failed = sorted({row["table_name"] for row in rows if row["severity"] == "critical" and not row["is_success"]})
    if failed:
        raise GateError(f"gate marts blocked this build ({', '.join(failed)}); nothing was published")
    missing = {c.name for c in contracts.marts().values() if c.gated} - {row["table_name"] for row in rows}
    if missing or not rows:
        part = f"{', '.join(sorted(missing))} of this build" if rows else "this build"
        raise GateError(f"gate marts has not judged {part}; run: c360 quality gate marts")


def _checkpoint(settings: Settings, file: Path) -> None:
    connection = duck.connect(settings, file)
    try:
        connection.execute("checkpoint")
    finally:
        connection.close()
    if file.with_name(file.name + ".wal").exists():
        raise PermanentError("the build still has a write-ahead log after its checkpoint; run: c360 warehouse build")


def _require_marts(connection: duckdb.DuckDBPyConnection) -> None:
    there = {
        row[0]
        for row in connection.execute("select table_name from duckdb_tables where schema_name = 'marts'").fetchall()
    }
    missing = sorted(set(contracts.marts()) - there)
    if missing:
        raise PermanentError(f"the build lacks marts {', '.join(missing)}; run: c360 warehouse build")


def _describe(file: Path, build: str) -> Sidecar:
    connection = duckdb.connect()
    try:
        connection.execute(f"attach '{file}' as published (read_only)")
        tags = connection.execute("select tags from duckdb_databases() where database_name = 'published'").fetchall()
    finally:
        connection.close()
    storage = str((tags[0][0] or {}).get("storage_version", "unknown"))
    return Sidecar(build, hash_file(file), duckdb.__version__, storage)


def _already_published(settings: Settings) -> Sidecar:
    """The build has been moved away by an earlier publish: that one stands; its sidecar is written again if it is not its."""
    if not settings.warehouse_file.exists():
        raise PermanentError("there is no build to publish; run: c360 warehouse build")
    connection = open_published(settings)
    try:
        require_own_run(settings, connection, "published")
        found = str(build_id(connection))
    finally:
        connection.close()
    known = sidecar_file(settings)
    if known.exists() and (written := json.loads(known.read_text(encoding="utf-8")))["build_id"] == found:
        return Sidecar(**written)
    sidecar = _describe(settings.warehouse_file, found)
    _write_sidecar(settings, sidecar)
    return sidecar


def _write_sidecar(settings: Settings, sidecar: Sidecar) -> None:
    target = sidecar_file(settings)
    draft = target.with_name(target.name + ".tmp")
    draft.write_text(json.dumps(asdict(sidecar), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sync(draft)
    draft.replace(target)
    sync(target.parent)
