"""Builds the warehouse with dbt into a private file (target duckdb) or into Delta schemas (target spark)."""

import json
import shutil
import uuid
from datetime import datetime
from pathlib import Path

import duckdb

from jobs.core.catalog import TABLES
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use
from jobs.lake import delta, duck
from jobs.lake.runs import Stage
from jobs.warehouse.dbt import Outcome, raise_failures, run_dbt
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file, public_marts, wal_file
from jobs.warehouse.stamp import stamp

# What the ops schema shows is always of the day, whatever else is selected.
ALWAYS = "path:models/ops"
BUILD_INFO = "build_id varchar, built_at timestamp, lake_versions varchar, run_id varchar, epoch bigint"


def build(context: Context, stage: Stage, *, select: str | None = None) -> str:
    """One dbt build under the writer lock; returns the build id, which `ops.build_info` of the result carries, with the run's id.

    Without `select` everything is built into an empty file; with it, what it names is built into a copy of the published
    file. A build that fails leaves no build id behind, so that it cannot be published.
    Raises GateError when data tests fail, PermanentError when a model or unit test does, RetryableError when locked.
    """
    settings = context.settings
    as_of = context.clock.now()
    with tokens_in_use(settings), writer_lock(settings) as fence:
        delta.ensure_all(settings)
        versions = {name: delta.version(settings, name) for name in TABLES}
        stage.rows_in = delta.row_count(settings, "silver_events")
        stage.details |= {"target": settings.dbt_target, "lake_versions": versions}
        if settings.dbt_target == "spark":
            return _build_on_spark(settings, stage, as_of, select)
        file = _prepare_file(settings, select)
        selection = [*select.split(), ALWAYS] if select else []
        outcome = run_dbt(settings, file, as_of, selection, [])
        _note(stage, outcome)
        raise_failures(outcome)
        build_id = uuid.uuid4().hex
        info = [
            build_id,
            as_of.replace(tzinfo=None),
            json.dumps(versions, sort_keys=True),
            context.run_id,
            fence.epoch,
        ]
        fence.check()  # the file of that name may be another writer's by now
        stage.rows_out = _finish(file, info)
        stage.details |= {"build_id": build_id}
        return build_id


def _prepare_file(settings: Settings, select: str | None) -> Path:
    """An empty place, or a copy of the published file without its build id. The Delta extension is put where dbt finds it."""
    file = build_file(settings)
    for old in (file, wal_file(file)):
        old.unlink(missing_ok=True)
    if select:
        if not settings.warehouse_file.exists():
            raise PermanentError(
                "--select starts from the published warehouse and there is none; run: c360 warehouse build"
            )
        shutil.copyfile(settings.warehouse_file, file)
    connection = duck.connect(settings, file)
    try:
        connection.execute("drop table if exists ops.build_info" if select else "select 1")
    finally:
        connection.close()
    return file


def _finish(file: Path, info: list[object]) -> int:
    """Writes `ops.build_info` and the build id of every table, and counts the rows of the public marts."""
    connection = duckdb.connect(str(file))
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema if not exists ops")
        connection.execute(f"create or replace table ops.build_info ({BUILD_INFO})")
        connection.execute("insert into ops.build_info values (?, ?, ?, ?, ?)", info)
        stamp(connection, str(info[0]))
        counts = [connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in public_marts()]
    finally:
        connection.close()
    return int(sum(counts))


def _build_on_spark(settings: Settings, stage: Stage, as_of: datetime, select: str | None) -> str:
    from jobs.warehouse.spark import prepare_session

    if select:
        raise UsageError("--select works on the target duckdb only; on spark run: c360 warehouse build")
    prepare_session(settings)
    # Unit tests judge the SQL, not the data, and did so on duckdb; a query costs far more here.
    outcome = run_dbt(settings, build_file(settings), as_of, [], ["--exclude-resource-type", "unit_test"])
    _note(stage, outcome)
    raise_failures(outcome)
    build_id = uuid.uuid4().hex
    stage.details |= {"build_id": build_id}
    return build_id


def _note(stage: Stage, outcome: Outcome) -> None:
    stage.details |= {"dbt_nodes": outcome.counts, "dbt_failures": [f.name for f in outcome.failures]}
