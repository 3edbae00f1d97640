"""Builds the warehouse with dbt into a private file (target duckdb) or into Delta schemas (target spark)."""

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb

from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.core.token_lock import tokens_in_use
from jobs.lake import delta, duck
from jobs.lake.runs import Stage
from jobs.warehouse.dbt import Outcome, raise_failures, run_dbt
from jobs.warehouse.epoch import Fence
from jobs.warehouse.increment import (
    drop_previous,
    origin_now,
    origin_of,
    origin_of_selected,
    put_previous_aside,
    why_whole,
)
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import as_of_file, build_file, public_marts, wal_file
from jobs.warehouse.reading import Reading, reading_now, reading_of_run
from jobs.warehouse.stamp import stamp

# What the ops schema shows is always of the day, whatever else is selected.
ALWAYS = "path:models/ops"
# Unit tests judge the SQL, not the data: once is enough. An increment has the very SQL that built what it starts from, and
# on Spark a query costs far more.
NO_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
# Tests of a selection look at what it builds and what that was built from, not at models of the published file beyond it.
TESTS_OF_SELECTION = ("--indirect-selection", "buildable")
BUILD_INFO = (
    "build_id varchar, built_at timestamp, lake_versions varchar, run_id varchar, epoch bigint, "
    "project varchar, mixed varchar[], as_of timestamp, lake_tables varchar"
)


def build(context: Context, stage: Stage, *, select: str | None = None, incremental: bool = False) -> str:
    """One dbt build under the writer lock; returns the build id, which `ops.build_info` of the result carries, with the run's id.

    Without `select` everything is built into an empty file; with it, what it names is built into a copy of the published
    file, which goes on saying what all its other tables were made from (`Origin`). `incremental` works out only what has
    changed since the published build, where that gives the same tables (`stage.details["whole"]` says why it was not so).
    A build that fails leaves no build id behind, so that it cannot be published.
    Raises GateError when data tests fail, PermanentError when a model or unit test does, RetryableError when locked.
    """
    settings = context.settings
    with tokens_in_use(settings), writer_lock(settings) as fence:
        reading = reading_now(settings, context.clock.now())
        stage.rows_in = delta.row_count(settings, "silver_events")
        _note_reading(settings, stage, reading)
        stage.details |= {"select": select} if select else {}
        if settings.dbt_target == "spark":
            return _build_on_spark(settings, stage, reading, select)
        if incremental and (why := why_whole(settings, reading)):
            stage.details["whole"] = why
            incremental = False
        file = _prepare_file(settings, build_file(settings), from_published=bool(select) or incremental)
        if incremental:
            put_previous_aside(settings, file, reading)
        selection = [*select.split(), ALWAYS] if select else []
        extra = [*(NO_UNIT_TESTS if incremental else ("--full-refresh",)), *(TESTS_OF_SELECTION if select else ())]
        reading = replace(reading, increment=incremental)
        return _build_file(context, stage, file, reading, fence, selection=selection, extra=extra)


def build_as_of(context: Context, stage: Stage, as_of: datetime | None, pin: str | None) -> Path:
    """The warehouse as it was at `as_of`, in a file of its own, which no gate judges and nothing publishes; returns its path.

    With `pin` (the id of a run) from the Delta versions that the build of that run has read, and, without `as_of`, as of
    its moment. Building it again gives equal tables whatever has arrived since; without `pin` that holds for facts, not
    for what later runs of identity and of ML models have changed.
    Raises UsageError for a moment to come, an unknown run or the target spark; otherwise as `build`.
    """
    settings = context.settings
    if settings.dbt_target == "spark":
        raise UsageError(
            "a build as of a moment works on the target duckdb only: on spark it would replace the current one"
        )
    if as_of is not None and as_of > context.clock.now():
        raise UsageError(f"--as-of {as_of.isoformat()} is still to come; now is {context.clock.now().isoformat()}")
    with tokens_in_use(settings), writer_lock(settings) as fence:
        now = reading_now(settings, as_of or context.clock.now())
        reading = reading_of_run(settings, pin, as_of) if pin else now
        _note_reading(settings, stage, reading)
        target = as_of_file(settings, reading.as_of, pin)
        draft = _prepare_file(settings, target.with_suffix(".tmp"), from_published=False)
        _build_file(context, stage, draft, reading, fence, extra=NO_UNIT_TESTS)
        connection = duck.connect(settings, draft)
        try:
            connection.execute("checkpoint")
        finally:
            connection.close()
        draft.replace(target)
        return target


def _build_file(
    context: Context,
    stage: Stage,
    file: Path,
    reading: Reading,
    fence: Fence,
    *,
    selection: Sequence[str] = (),
    extra: Sequence[str] = (),
) -> str:
    """dbt into `file`, then its build id; returns that."""
    outcome = run_dbt(context.settings, file, reading, [*selection], [*extra])
    _note(stage, outcome)
    raise_failures(outcome)
    build_id = uuid.uuid4().hex
    if selection:
        origin = origin_of_selected(origin_of(context.settings.warehouse_file), outcome.models)
    else:
        origin = origin_now(context.settings, reading)
    info = [build_id, context.clock.now().replace(tzinfo=None), _json(origin.versions), context.run_id, fence.epoch]
    info += [
        origin.project,
        list(origin.mixed),
        origin.as_of and origin.as_of.replace(tzinfo=None),
        _json(origin.tables),
    ]
    fence.check()  # the file of that name may be another writer's by now
    stage.rows_out = _finish(file, info)
    stage.details |= {"build_id": build_id}
    return build_id


def _note_reading(settings: Settings, stage: Stage, reading: Reading) -> None:
    """What `--pin` finds again."""
    stage.details["target"] = settings.dbt_target
    stage.details["as_of"] = reading.as_of.isoformat()
    stage.details["lake_versions"] = dict(reading.versions)


def _prepare_file(settings: Settings, file: Path, *, from_published: bool) -> Path:
    """An empty place, or a copy of the published file without its build id. The Delta extension is put where dbt finds it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for old in (file, wal_file(file)):
        old.unlink(missing_ok=True)
    if from_published:
        if not settings.warehouse_file.exists():
            raise PermanentError(
                "--select starts from the published warehouse and there is none; run: c360 warehouse build"
            )
        shutil.copyfile(settings.warehouse_file, file)
    connection = duck.connect(settings, file)
    try:
        connection.execute("drop table if exists ops.build_info" if from_published else "select 1")
    finally:
        connection.close()
    return file


def _json(found: Mapping[str, object]) -> str:
    return json.dumps(dict(found), sort_keys=True)


def _finish(file: Path, info: list[object]) -> int:
    """Writes `ops.build_info` and the build id of every table, and counts the rows of the public marts."""
    connection = duckdb.connect(str(file))
    try:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema if not exists ops")
        connection.execute(f"create or replace table ops.build_info ({BUILD_INFO})")
        connection.execute("insert into ops.build_info values (?, ?, ?, ?, ?, ?, ?, ?, ?)", info)
        drop_previous(connection)
        stamp(connection, str(info[0]))
        counts = [connection.execute(f"select count(*) from {name}").fetchall()[0][0] for name in public_marts()]
    finally:
        connection.close()
    return int(sum(counts))


def _build_on_spark(settings: Settings, stage: Stage, reading: Reading, select: str | None) -> str:
    from jobs.warehouse.spark import prepare_session

    if select:
        raise UsageError("--select works on the target duckdb only; on spark run: c360 warehouse build")
    prepare_session(settings, reading)
    outcome = run_dbt(settings, build_file(settings), reading, [], [*NO_UNIT_TESTS])
    _note(stage, outcome)
    raise_failures(outcome)
    build_id = uuid.uuid4().hex
    stage.details |= {"build_id": build_id}
    return build_id


def _note(stage: Stage, outcome: Outcome) -> None:
    stage.details |= {"dbt_nodes": outcome.counts, "dbt_failures": [f.name for f in outcome.failures]}
    stage.details |= {"dbt_warnings": list(outcome.warnings)} if outcome.warnings else {}
