"""Runs dbt in this process: its profile, its arguments and what it says about failures. Writes below C360_HOME only."""

import json
import logging
from dataclasses import dataclass, field
from datetime import UTC
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from jobs.core.errors import C360Error, GateError, PermanentError
from jobs.core.hashing import hash_parts
from jobs.core.settings import Settings
from jobs.warehouse.dbtlog import listening
from jobs.warehouse.increment import project_hash
from jobs.warehouse.parsed import Parsing
from jobs.warehouse.paths import dbt_folder
from jobs.warehouse.reading import Reading

BROKEN = ("error", "fail", "runtime error")
# Below the folder of dbt, of its last run.
TIMINGS = "seconds.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """One node that did not succeed."""

    name: str
    kind: str
    status: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What a dbt run did: nodes by resource type, the failures among them, how each of its models is materialized, and what
    tests only warn of (name and rows)."""

    counts: dict[str, int]
    failures: tuple[Failure, ...]
    models: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def profile(settings: Settings, database: Path) -> dict[str, Any]:
    """The dbt profile with both targets. The Delta extension was put into extension_directory before dbt looks there."""
    duck = settings.home / "duckdb"
    duckdb_target = {
        "type": "duckdb",
        "path": str(database),
        "schema": "main",
        "threads": settings.duckdb_threads,
        "extensions": ["delta"],
        "keep_open": True,
        "config_options": {
            "extension_directory": str(duck / "extensions"),
            "temp_directory": str(duck / "tmp"),
            "memory_limit": settings.duckdb_memory,
            "threads": settings.duckdb_threads,
            "autoinstall_known_extensions": False,
            "preserve_insertion_order": False,
        },
        "settings": {"TimeZone": "UTC"},
    }
    spark_target = {"type": "spark", "method": "session", "host": "NA", "schema": "main", "threads": 2}
    return {"c360": {"target": settings.dbt_target, "outputs": {"duckdb": duckdb_target, "spark": spark_target}}}


def _parsed_for(settings: Settings, database: Path) -> str:
    """All that what the project parses to depends on: its files and settings, dbt's version, the target, and the name of the
    file, which stands before each table. Not whether it is an increment: `in_part` and `in_whole` see to that."""
    versions = [version("dbt-core"), version("dbt-duckdb")]
    given = [str(settings.project_root), settings.dbt_target, database.stem]
    return hash_parts([project_hash(settings), *versions, *given])


def variables(settings: Settings, reading: Reading) -> dict[str, Any]:
    """The dbt variables of a build: the moment it describes, where the lake is and in which versions, the currency of sums."""
    return {
        "as_of": reading.as_of.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "lake_root": str(settings.lake),
        "pins": {name: f", version => {version}" for name, version in reading.versions.items()},
        "currency": settings.currency,
        "increment": reading.increment,
    }


def arguments(settings: Settings, reading: Reading, selection: list[str]) -> list[str]:
    """Command line of `dbt build`."""
    selected = ["--select", *selection] if selection else []
    return ["build", *_common(settings, reading, dbt_folder(settings)), *selected]


def docs_arguments(settings: Settings, reading: Reading, folder: Path, *, with_tables: bool) -> list[str]:
    """Command line of `dbt docs generate`; its profile and all that it writes are in `folder`."""
    given = _common(settings, reading, folder)
    return ["docs", "generate", "--static", "--write-json", *given, *([] if with_tables else ["--empty-catalog"])]


def _common(settings: Settings, reading: Reading, folder: Path) -> list[str]:
    options = {
        "--project-dir": settings.project_root / "dbt_project",
        "--profiles-dir": folder,
        "--target": settings.dbt_target,
        "--target-path": folder / "target",
        "--log-path": folder / "logs",
        "--log-level": "none",
        "--log-level-file": "none",
        "--vars": json.dumps(variables(settings, reading)),
    }
    return [text for pair in options.items() for text in map(str, pair)]


def run_dbt(settings: Settings, database: Path, reading: Reading, selection: list[str], extra: list[str]) -> Outcome:
    """One `dbt build`; raises PermanentError when dbt could not even start (a model that does not parse)."""
    folder = dbt_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile(settings, database)), encoding="utf-8")
    parsing = Parsing(_parsed_for(settings, database), folder / "target")
    given = variables(settings, reading)
    known = parsing.manifest(str(given["lake_root"]), given["pins"])
    command = [*arguments(settings, reading, selection), *extra]
    found = invoke_dbt(command, folder / "logs" / "dbt.log", known)
    parsing.done()
    _write_timings(folder / TIMINGS, found)
    counts: dict[str, int] = {}
    models: dict[str, str] = {}
    failures, warnings = [], []
    for result in getattr(found, "results", []):
        kind = str(result.node.resource_type)
        if kind == "exposure":  # nothing was run: dbt lists what stands behind the built models
            continue
        counts[kind] = counts.get(kind, 0) + 1
        if kind == "model":
            models[result.node.name] = str(result.node.config.materialized)
        if str(result.status) == "warn":
            warnings.append(f"{result.node.name}: {result.failures} rows")
            log.warning("dbt test %s: %s rows; see docs/marts.md", result.node.name, result.failures)
        if str(result.status) in BROKEN:
            failures.append(Failure(result.node.name, kind, str(result.status), _one_line(str(result.message))))
    return Outcome(counts, tuple(failures), models, tuple(warnings))


def _write_timings(file: Path, found: Any) -> None:
    """Seconds of each node, for benchmarks and for whoever wonders: {unique_id: seconds}."""
    seconds = {result.node.unique_id: result.execution_time for result in getattr(found, "results", [])}
    file.write_text(json.dumps(seconds), encoding="utf-8")


def invoke_dbt(command: list[str], log_file: Path | None = None, manifest: Any = None) -> Any:
    """What dbt returns; raises PermanentError, naming the log, when dbt could not do it at all. It parses the project unless it
    is given that as `manifest`."""
    from dbt.cli.main import dbtRunner

    with listening(log_file) as callbacks:
        try:
            done = dbtRunner(manifest, callbacks=callbacks).invoke(command)
        finally:
            _release_file()
    if done.exception is not None or done.result is None:
        where = f"; log: {log_file}" if log_file else ""
        raise PermanentError(f"dbt could not run: {_one_line(str(done.exception))}{where}")
    return done.result


def raise_failures(outcome: Outcome) -> None:
    """GateError when only data tests said no; PermanentError naming the nodes when something broke; nothing otherwise."""
    if not outcome.failures:
        return
    said_no = [f for f in outcome.failures if f.kind == "test" and f.status == "fail"]
    broken = [f for f in outcome.failures if f not in said_no]
    kind: type[C360Error] = PermanentError if broken else GateError
    named = "; ".join(f"{f.name} ({f.message})" for f in (broken or said_no)[:5])
    more = f" and {len(broken or said_no) - 5} more" if len(broken or said_no) > 5 else ""
    what = "dbt build failed" if broken else "data tests stopped the build"
    raise kind(f"{what}: {named}{more}; nothing was published")


def _release_file() -> None:
    """One open file serves all nodes (opening it again for each costs twice the time); dbt would keep it afterwards too."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    manager: Any = DuckDBConnectionManager  # dbt's own class carries no types here
    manager.close_all_connections()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
