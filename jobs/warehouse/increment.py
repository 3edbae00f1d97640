"""A build from the published file: whether one may be made, and what the models need of the file before dbt changes it."""

import json
from pathlib import Path

import duckdb

from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.lake import duck
from jobs.warehouse.reading import Reading

# Rewritten in silver, not added: after a rotation of the token key the old rows say the same in other words.
MUST_BE_AS_THEN = ("ops_keys", "ops_token_aliases")


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
    connection = duckdb.connect(str(settings.warehouse_file), read_only=True)
    try:
        found = connection.execute("select lake_versions, project from ops.build_info").fetchall()
    except duckdb.Error:
        return "the published build does not say what made it"
    finally:
        connection.close()
    versions, project = json.loads(found[0][0]), found[0][1]
    if project != project_hash(settings):
        return "the dbt project or its settings have changed"
    rewritten = [name for name in MUST_BE_AS_THEN if versions.get(name) != reading.versions[name]]
    return f"{', '.join(rewritten)} has changed" if rewritten else None


def keep_previous(settings: Settings, file: Path) -> None:
    """Puts whose each identifier was aside, before the models say whose it is."""
    connection = duck.connect(settings, file)
    try:
        connection.execute("create or replace schema previous")
        connection.execute(
            "create table previous.int_identity__identifiers as select * from intermediate.int_identity__identifiers"
        )
    finally:
        connection.close()


def drop_previous(connection: duckdb.DuckDBPyConnection) -> None:
    """What was put aside is no part of the warehouse."""
    connection.execute("drop schema if exists previous cascade")
