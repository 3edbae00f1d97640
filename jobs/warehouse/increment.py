"""A build from the published file: whether one may be made, and what the models need of the file before dbt changes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.lake import duck
from jobs.warehouse.reading import Reading

# Rewritten in silver, not added: after a rotation of the token key the old rows say the same in other words.
MUST_BE_AS_THEN = ("ops_keys", "ops_token_aliases")
# What the models read of the build before in a table of that name, besides what the incremental ones append to.
PREVIOUS = ("int_identity__identifiers",)


@dataclass(frozen=True)
class Origin:
    """What the tables of a build were made by and from, all but those that `--select` has named since.

    `mixed` are those among the latter that an increment starts from: they are of other versions than the rest, so that a
    comparison with them would not find what has changed.
    """

    project: str | None
    versions: Mapping[str, int]
    mixed: tuple[str, ...] = ()


def origin_of(file: Path) -> Origin | None:
    """That of a finished build; None when it does not say."""
    connection = duckdb.connect(str(file), read_only=True)
    try:
        found = connection.execute("select project, lake_versions, mixed from ops.build_info").fetchall()
    except duckdb.Error:
        return None
    finally:
        connection.close()
    if not found:
        return None
    project, versions, mixed = found[0]
    return Origin(project, json.loads(versions), tuple(mixed or ()))


def origin_of_selected(published: Origin | None, models: Mapping[str, str]) -> Origin:
    """Of a copy of the published file in which these models (name → materialization) were built anew."""
    start = published or Origin(None, {})
    bases = {name for name, how in models.items() if how == "incremental" or name in PREVIOUS}
    return Origin(start.project, start.versions, tuple(sorted({*start.mixed, *bases})))


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
    return f"{', '.join(rewritten)} has changed" if rewritten else None


def keep_previous(settings: Settings, file: Path) -> None:
    """Puts whose each identifier was aside, before the models say whose it is."""
    connection = duck.connect(settings, file)
    try:
        connection.execute("create or replace schema previous")
        for name in PREVIOUS:
            connection.execute(f"create table previous.{name} as from intermediate.{name}")
    finally:
        connection.close()


def drop_previous(connection: duckdb.DuckDBPyConnection) -> None:
    """What was put aside is no part of the warehouse."""
    connection.execute("drop schema if exists previous cascade")
