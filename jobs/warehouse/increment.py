"""A build from the published file: whether one may be made, and what the models need of the file before dbt changes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.lake import delta, duck
from jobs.warehouse.arrivals import GROWING, SCHEMA, put_arrivals_aside
from jobs.warehouse.reading import Reading

# Rewritten in silver, not added: after a rotation of the token key the old rows say the same in other words.
MUST_BE_AS_THEN = ("ops_keys", "ops_token_aliases")
# What the models read of the build before in a table of that name, besides what the incremental ones append to; which columns.
PREVIOUS = {
    "int_identity__identifiers": "*",
    "int_segments__profiles": "columns(name -> name in ('profile_id', 'is_simulated') or starts_with(name, 'trait_'))",
}


@dataclass(frozen=True)
class Origin:
    """What the tables of a build were made by and from, all but those that `--select` has named since.

    `as_of` is None and `tables` empty when the build does not say. `mixed` are those among the selected that an increment
    starts from: they are of other versions than the rest, so that a comparison with them would not find what has changed.
    """

    project: str | None
    versions: Mapping[str, int]
    mixed: tuple[str, ...] = ()
    as_of: datetime | None = None
    tables: Mapping[str, str] = field(default_factory=dict)


def origin_of(file: Path) -> Origin | None:
    """That of a finished build; None when it does not say."""
    connection = duckdb.connect(str(file), read_only=True)
    try:
        found = connection.execute(
            "select project, lake_versions, mixed, as_of, lake_tables from ops.build_info"
        ).fetchall()
    except duckdb.Error:
        return None
    finally:
        connection.close()
    if not found:
        return None
    project, versions, mixed, as_of, tables = found[0]
    moment = as_of and as_of.replace(tzinfo=UTC)
    return Origin(project, json.loads(versions), tuple(mixed or ()), moment, json.loads(tables or "{}"))


def origin_now(settings: Settings, reading: Reading) -> Origin:
    """That of a build of everything from `reading`."""
    tables = {name: delta.identity(settings, name) for name in GROWING}
    return Origin(project_hash(settings), reading.versions, as_of=reading.as_of, tables=tables)


def origin_of_selected(published: Origin | None, models: Mapping[str, str]) -> Origin:
    """Of a copy of the published file in which these models (name → materialization) were built anew."""
    start = published or Origin(None, {})
    bases = {name for name, how in models.items() if how == "incremental" or name in PREVIOUS}
    return replace(start, mixed=tuple(sorted({*start.mixed, *bases})))


def project_hash(settings: Settings) -> str:
    """What the tables of a build were made by: every file of the dbt project, and the settings that it is given."""
    folder = settings.project_root / "dbt_project"
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".sql", ".yml") and path.is_file())
    parts = [part for path in files for part in (str(path.relative_to(folder)), path.read_text(encoding="utf-8"))]
    return hash_parts([settings.currency, duckdb.__version__, *parts])


def why_whole(settings: Settings, reading: Reading) -> str | None:
    """Why a build must be made from the beginning; None when the published file is a good start."""
    if not settings.warehouse_file.exists():
        return "nothing is published yet"
    origin = origin_of(settings.warehouse_file)
    if origin is None:
        return "the published build does not say what made it"
    if origin.project != project_hash(settings):
        return "the dbt project or its settings have changed"
    if origin.mixed:
        return f"--select has built {', '.join(origin.mixed)} without the rest"
    rewritten = [name for name in MUST_BE_AS_THEN if origin.versions.get(name) != reading.versions[name]]
    if rewritten:
        return f"{', '.join(rewritten)} has changed"
    return why_not_comparable(settings, reading, origin)


def why_not_comparable(settings: Settings, reading: Reading, origin: Origin) -> str | None:
    """Why what has come since the build of `origin` cannot be told; None when it can."""
    if origin.as_of is None or any(name not in origin.tables for name in GROWING):
        return "the published build does not say what it has read"
    if origin.as_of > reading.as_of:
        return "the published build is of a later moment"
    if anew := [name for name in GROWING if origin.tables[name] != delta.identity(settings, name)]:
        return f"{', '.join(anew)} have been made anew"
    gone = [name for name in GROWING if not delta.is_kept(settings, name, origin.versions[name])]
    return f"what the published build has read of {', '.join(gone)} is no longer kept" if gone else None


def put_previous_aside(settings: Settings, file: Path, reading: Reading) -> None:
    """What the models compare with, before they change it, and what has come into the lake since; `file` is a copy of the
    published one, for which `why_whole` has found nothing."""
    origin = origin_of(settings.warehouse_file)
    assert origin is not None
    assert origin.as_of is not None
    connection = duck.connect(settings, file)
    try:
        connection.execute(f"create or replace schema {SCHEMA}")
        for name, columns in PREVIOUS.items():
            connection.execute(f"create table {SCHEMA}.{name} as select {columns} from intermediate.{name}")
        put_arrivals_aside(connection, settings, reading, since=Reading(origin.as_of, origin.versions))
    finally:
        connection.close()


def drop_previous(connection: duckdb.DuckDBPyConnection) -> None:
    """What was put aside is no part of the warehouse."""
    connection.execute(f"drop schema if exists {SCHEMA} cascade")
