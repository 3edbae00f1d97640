"""Copies the public marts to Parquet for tools that do not read DuckDB: a folder per build, and a pointer that moves last.

    <to>/<build id>/<mart>.parquet, manifest.json     never changed once the manifest is there
    <to>/current.json                                 which build is to be read

A reader that takes the pointer once, and then its folder, sees one build.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from jobs.core.errors import PermanentError, RetryableError
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.warehouse.export_places import MANIFEST, NOT_OURS, Place
from jobs.warehouse.paths import public_marts
from jobs.warehouse.private import private_folder
from jobs.warehouse.reader import build_id
from jobs.warehouse.sidecar import Sidecar, read_sidecar
from jobs.warehouse.stamp import foreign

TRIES = 5


@dataclass(frozen=True)
class ExportedMart:
    """One file; `columns` are (name, DuckDB type)."""

    mart: str
    file: str
    rows: int
    bytes: int
    sha256: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Manifest:
    """What one export holds. `epoch` is of the publish, `warehouse_sha256` of the file that it was copied from."""

    build_id: str
    epoch: int
    warehouse_sha256: str
    marts: tuple[ExportedMart, ...]

    @property
    def rows(self) -> int:
        """Of all marts."""
        return sum(mart.rows for mart in self.marts)


def export(settings: Settings, place: Place) -> Manifest:
    """Every public mart of the published build; the pointer moves when all of them are there.

    Exporting a build again writes nothing but the pointer. Raises PermanentError when nothing is published or it is not
    whole, RetryableError when a newer build was exported meanwhile, and what the place raises.
    """
    connection, known = _open(settings)
    try:
        place.require_no_newer(known.epoch)
        if (kept := place.manifest(known.build_id)) is not None:
            manifest = _manifest(kept)
        else:
            with private_folder(settings, "export-") as folder:
                manifest = _write(connection, known, folder)
                place.take(known.build_id, folder)
    finally:
        connection.close()
    place.point_to(known.build_id, known.epoch)
    return manifest


def _open(settings: Settings) -> tuple[duckdb.DuckDBPyConnection, Sidecar]:
    """A connection that may write files, and the sidecar of the very build that it reads."""
    if not settings.warehouse_file.exists():
        raise PermanentError("nothing is published; run: c360 warehouse publish")
    for _ in range(TRIES):
        connection = duckdb.connect(
            str(settings.warehouse_file), read_only=True, config={"memory_limit": settings.duckdb_memory}
        )
        known, found = read_sidecar(settings), build_id(connection)
        if known is not None and known.build_id == found:
            if foreign(connection, known.build_id):
                connection.close()
                raise PermanentError("the published file is not of one build; run: c360 warehouse doctor")
            connection.execute("set TimeZone = 'UTC'")
            return connection, known
        connection.close()
    raise RetryableError(
        "the published file and its sidecar are of two builds; run it again, or: c360 warehouse doctor"
    )


def _write(connection: duckdb.DuckDBPyConnection, known: Sidecar, folder: Path) -> Manifest:
    marts = []
    for relation in public_marts():
        name = relation.removeprefix("marts.")
        file = folder / f"{name}.parquet"
        columns = [(str(row[0]), str(row[1])) for row in connection.execute(f"describe {relation}").fetchall()]
        rows = connection.execute(
            f"copy {relation} to '{str(file).replace(chr(39), chr(39) * 2)}' "
            f"(format parquet, compression zstd, kv_metadata {{build_id: '{known.build_id}'}})"
        ).fetchall()[0][0]
        marts.append(ExportedMart(name, file.name, int(rows), file.stat().st_size, hash_file(file), tuple(columns)))
    manifest = Manifest(known.build_id, known.epoch, known.sha256, tuple(marts))
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    return manifest


def _manifest(kept: dict[str, Any]) -> Manifest:
    try:
        marts = tuple(ExportedMart(**mart | {"columns": tuple(map(tuple, mart["columns"]))}) for mart in kept["marts"])
        return Manifest(kept["build_id"], kept["epoch"], kept["warehouse_sha256"], marts)
    except (KeyError, TypeError) as error:
        raise PermanentError(NOT_OURS) from error
