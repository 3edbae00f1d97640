"""The sidecar: JSON beside a published file, by which anybody can tell what the file is and whether it is whole."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from jobs.core.files import write_durably
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.paths import sidecar_file


@dataclass(frozen=True)
class Sidecar:
    """What a published file is; `sha256` is of the file, `storage_version` tells which DuckDB can read it.

    `epoch` is of the writer that published it, `build_epoch` of the one that built it (0: from before epochs).
    `withdrawn` is the build that a rollback has replaced by this one.
    """

    build_id: str
    sha256: str
    duckdb_version: str
    storage_version: str
    epoch: int = 0
    build_epoch: int = 0
    withdrawn: str | None = None


def read_sidecar(settings: Settings) -> Sidecar | None:
    """That of the published file; None when there is none that can be read."""
    return read(sidecar_file(settings))


def read(path: Path) -> Sidecar | None:
    """Any sidecar; None when there is none, or it is no whole JSON of ours."""
    try:
        return Sidecar(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write(path: Path, sidecar: Sidecar) -> None:
    """Makes or replaces it durably and in one step; readable for whoever may read the file beside it."""
    write_durably(path, json.dumps(asdict(sidecar), indent=2, sort_keys=True) + "\n", mode=0o644)


def describe(file: Path, build: str, *, epoch: int, build_epoch: int) -> Sidecar:
    """The sidecar of a file that nobody writes to any more."""
    return Sidecar(build, hash_file(file), duckdb.__version__, storage_version(file), epoch, build_epoch)


def storage_version(file: Path) -> str:
    """The oldest DuckDB that can read the file, as DuckDB says it."""
    connection = duckdb.connect()
    try:
        connection.execute(f"attach '{file}' as published (read_only)")
        tags = connection.execute("select tags from duckdb_databases() where database_name = 'published'").fetchall()
    finally:
        connection.close()
    return str((tags[0][0] or {}).get("storage_version", "unknown"))
