"""Small files together: no row changes, the statistics still prune, and readers of the log see no new data."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from checkpointkit import TODAY, Row, Streams, context_of, table_of
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.errors import RetryableError
from jobs.core.settings import Settings
from jobs.ingest.balance import in_flight
from jobs.lake import delta, deltalog
from jobs.lake.delta import append, read, row_count
from jobs.lake.locks import maintenance_lock
from jobs.lake.oplog import in_commit_order
from jobs.maintenance import compact as module
from jobs.maintenance.compact import compact
from jobs.maintenance.runner import run_compact

DAYS, BATCHES, TARGET = 30, 4, 40_000


def event(number: int, day: date) -> Row:
    return {
        "event_id": f"{number:064d}", "source": "web", "message_id": f"{number * 7919:064x}", "event_date": day,
        "flags": [], "ingest_batch": "x:0",
    }  # fmt: skip


def add_run(settings: Settings, number: int) -> None:
    row = {"run_id": f"{number:03d}", "stage": "x", "status": "ok", "recorded_at": context_of(settings).clock.now()}
    append(settings, "ops_runs", table_of("ops_runs", [row]))


def ranges(settings: Settings) -> list[tuple[date, date]]:
    table = DeltaTable(str(lake_table("silver_events").path(settings)))
    files = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return [(file["min.event_date"], file["max.event_date"]) for file in files]


def test_a_month_of_micro_batches_still_prunes_by_day(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their days, one of each batch late: a day is in few files before and after."""
    monkeypatch.setattr(module, "MIB", TARGET)
    settings = settings.model_copy(update={"compact_target_mib": 1, "compact_min_files": 8})
    first = TODAY - timedelta(days=DAYS)
    for number in range(DAYS * BATCHES):
        day = first + timedelta(days=number // BATCHES)
        rows = [event(number * 1000 + i, day) for i in range(200)]
        append(settings, "silver_events", table_of("silver_events", rows))
    before = read(settings, "silver_events").sort_by("event_id")
    done = compact(settings, "silver_events")
    assert done.before == DAYS * BATCHES
    assert done.after <= DAYS * BATCHES / 3
    assert read(settings, "silver_events").sort_by("event_id").equals(before)
    compact(settings, "silver_events")
    for day in (first + timedelta(days=n) for n in range(DAYS)):
        assert sum(low <= day <= high for low, high in ranges(settings)) <= 2


def test_only_what_pays_is_touched(streams: Streams) -> None:
    for day in (TODAY, TODAY, TODAY, TODAY - timedelta(days=1)):
        streams.load(day)
    settings = streams.settings.model_copy(update={"compact_min_files": 3})
    done = compact(settings, "bronze_messages")
    assert (done.before, done.after) == (3, 1)
    assert row_count(settings, "bronze_messages") == 16


def test_the_stream_sees_no_new_data_and_nothing_in_flight_twice(streams: Streams) -> None:
    streams.load(TODAY)
    streams.load(TODAY, commit=False)
    streams.load(TODAY, commit=False)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    compact(settings, "bronze_messages")
    newest = list(deltalog.commits(lake_table("bronze_messages").path(settings)))[-1]
    assert newest.added == []
    assert len(newest.moved) == 1
    assert in_flight(settings) == {"web": 8}


def test_the_order_of_a_log_table_is_kept(settings: Settings) -> None:
    for number in range(40):
        add_run(settings, number)
    compact(settings, "ops_runs")
    assert [row["run_id"] for row in in_commit_order(settings, "ops_runs")] == [f"{n:03d}" for n in range(40)]


def test_an_append_in_between_is_not_lost_from_a_log(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is written anew: the commit that did not see the append is refused, and the next try takes it along."""
    monkeypatch.setattr(delta, "CONFLICT_SECONDS", 0)
    for number in range(20):
        add_run(settings, number)
    read_rows, raced = module.ordered_rows, []

    def race(table: DeltaTable, folder: Path) -> pa.Table:
        rows = read_rows(table, folder)
        if not raced:
            raced.append(add_run(settings, 20))
        return rows

    monkeypatch.setattr(module, "ordered_rows", race)
    assert compact(settings, "ops_runs").before == 21
    assert [row["run_id"] for row in in_commit_order(settings, "ops_runs")] == [f"{n:03d}" for n in range(21)]


def test_a_delete_in_between_is_met_by_a_bounded_retry(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta, "CONFLICT_SECONDS", 0)
    for _ in range(3):
        streams.load(TODAY)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    path = str(lake_table("bronze_messages").path(settings))
    real, tries = module.DeltaTable, []

    def raced(path: str) -> DeltaTable:
        table = real(path)
        if len(tries) < 2:
            real(path).delete(f"message_id = '{real(path).to_pyarrow_table()['message_id'][0]}'")
        tries.append(1)
        return table

    monkeypatch.setattr(module, "DeltaTable", raced)
    monkeypatch.setattr(raced, "is_deltatable", real.is_deltatable, raising=False)
    compact(settings, "bronze_messages")
    assert real(path).to_pyarrow_dataset().count_rows() == 10
    assert len(tries) > 2


def test_one_owner_at_a_time(settings: Settings) -> None:
    """Two compactions at once would double rows, in delta-rs itself."""
    with maintenance_lock(settings), pytest.raises(RetryableError, match="another `c360 maintain`"):
        run_compact(context_of(settings), ["silver_events"])


def test_a_table_that_is_always_taken_says_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from deltalake.exceptions import CommitFailedError

    def never() -> None:
        raise CommitFailedError("taken")

    monkeypatch.setattr(delta, "CONFLICT_SECONDS", 0)
    with pytest.raises(RetryableError, match="run the command again"):
        delta.again_on_conflict("silver_events", never)
