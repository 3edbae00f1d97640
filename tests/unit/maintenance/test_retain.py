"""Raw payloads past their time: whole days go, the balance stays exact through a crash at every step."""

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from checkpointkit import TODAY, Streams, bronze_row, context_of, days_back, placed, table_of
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError

from jobs.core.catalog import lake_table
from jobs.core.failpoints import Failpoint
from jobs.core.settings import Settings, bin_path
from jobs.ingest.balance import by_source, hourly_balance
from jobs.ingest.kafka.checkpoint import read_offsets
from jobs.ingest.kafka.ledger import KnownTopic
from jobs.ingest.landing.manifest import signature
from jobs.lake.delta import append, read, row_count
from jobs.lake.retired import last_batch, retired_count
from jobs.maintenance import retain
from jobs.maintenance.payloads import remove_payload_files
from jobs.maintenance.runner import run_retain
from jobs.maintenance.stream_needs import StreamNeedsError

OUTCOMES = ("received", "accepted", "duplicate", "quarantined", "suppressed", "in_flight")
OLD, EDGE = days_back(40), days_back(30)


def totals(settings: Settings) -> list[int]:
    (row,) = by_source(hourly_balance(settings))
    assert row["is_balanced"], row
    return [row[name] for name in OUTCOMES]


def do(settings: Settings) -> list[str]:
    return list(run_retain(context_of(settings), rehearsal=False))


def days_of(settings: Settings, name: str, column: str) -> set[object]:
    return set(read(settings, name, [column]).column(column).to_pylist())


def test_old_days_go_whole_and_the_balance_keeps_count(streams: Streams) -> None:
    for day in (OLD, days_back(35), EDGE, TODAY):
        streams.load(day, lines=8)
    before = totals(streams.settings)
    do(streams.settings)
    assert days_of(streams.settings, "bronze_messages", "landed_date") == {EDGE, TODAY}
    assert days_of(streams.settings, "quarantine_messages", "quarantined_date") == {EDGE, TODAY}
    assert totals(streams.settings) == before == [32, 8, 8, 8, 8, 0]
    rows = read(streams.settings, "ops_retired_messages").to_pylist()
    assert {(r["landed_date"], r["outcome"], r["reasons"], r["messages"]) for r in rows} == {
        (day, fate, "bad_number,wrong_type" if fate == "quarantined" else "", 2)
        for day in (OLD, days_back(35))
        for fate in ("accepted", "duplicate", "quarantined", "suppressed")
    }
    assert row_count(streams.settings, "silver_events") == 8  # what was accepted stays in silver


def test_a_second_run_and_a_dry_run_change_nothing(streams: Streams) -> None:
    streams.load(OLD)
    planned = list(run_retain(context_of(streams.settings), rehearsal=True))
    assert row_count(streams.settings, "bronze_messages") == 4
    assert "4 messages of 1 days" in "".join(planned)
    do(streams.settings)
    after = totals(streams.settings)
    assert "0 messages of 0 days" in "".join(do(streams.settings))
    assert totals(streams.settings) == after
    assert retired_count(streams.settings, from_files=True) == 4


def test_a_day_that_the_silver_stream_has_not_committed_stays(streams: Streams) -> None:
    streams.load(OLD)
    streams.load(OLD, commit=False)
    lines = do(streams.settings)
    assert any(f"{OLD} stays: 4 messages are not settled" in line for line in lines)
    assert row_count(streams.settings, "bronze_messages") == 8
    assert totals(streams.settings) == [8, 1, 1, 1, 1, 4]


def test_a_day_that_is_still_in_a_sealed_file_stays(streams: Streams) -> None:
    """The rows of bronze are what proves a sealed file loaded, should the checkpoint be lost."""
    rows = streams.load(OLD)
    do(streams.settings)
    assert list(streams.settings.sealed.iterdir()) == []
    streams.load(OLD)
    streams.number += 1
    streams.seal(rows)  # sealed, and not taken by the bronze stream yet
    do(streams.settings)
    assert row_count(streams.settings, "bronze_messages") == 4


@pytest.mark.parametrize(
    "place", [Failpoint.AFTER_RETIRED_SUMMARY_BEFORE_DELETE, Failpoint.AFTER_BRONZE_DELETE_BEFORE_QUARANTINE]
)
def test_a_kill_between_two_steps_is_made_good_by_the_next_run(streams: Streams, place: Failpoint) -> None:
    streams.load(OLD)
    streams.load(TODAY)
    before = totals(streams.settings)
    environment = streams.settings.child_environment | {"C360_TESTING": "1", "C360_FAIL_AT": place.value}
    clock = {"C360_NOW": context_of(streams.settings).clock.now().isoformat()}
    ended = subprocess.run([bin_path("c360"), "maintain", "retain"], env=environment | clock, check=False)
    assert ended.returncode == -9
    assert totals(streams.settings) == before
    do(streams.settings)
    assert totals(streams.settings) == before
    assert days_of(streams.settings, "bronze_messages", "landed_date") == {TODAY}
    assert days_of(streams.settings, "quarantine_messages", "quarantined_date") == {TODAY}
    assert retired_count(streams.settings, from_files=True) == 4


def test_rows_that_arrive_while_a_day_is_counted_are_never_lost(
    streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted before, there after: the commit is refused and the day counted anew, in which they wait for silver."""
    streams.load(OLD)
    write, late = retain.append, []

    def arrives(*arguments: object, **options: object) -> bool:
        if not late:
            late.append(streams.load(OLD, commit=False))
        return write(*arguments, **options)

    monkeypatch.setattr(retain, "append", arrives)
    do(streams.settings)
    assert row_count(streams.settings, "bronze_messages") == 8
    assert totals(streams.settings) == [8, 1, 1, 1, 1, 4]
    assert last_batch(streams.settings) == 0


def test_delta_refuses_a_delete_of_what_was_not_counted(streams: Streams) -> None:
    """What the test above leans on, of delta-rs itself."""
    streams.load(OLD)
    held = DeltaTable(str(lake_table("bronze_messages").path(streams.settings)))
    streams.load(OLD)
    with pytest.raises(CommitFailedError):
        held.delete(
            f"landed_date = '{OLD}'", commit_properties=CommitProperties(app_transactions=[Transaction("t", 1)])
        )


def test_delivered_files_go_by_their_decision(streams: Streams) -> None:
    settings = streams.settings
    files = {name: settings.landing / "web" / name for name in ("old", "new", "held", "changed", "refused")}
    streams.load(TODAY)
    rows = []
    for number, (name, path) in enumerate(files.items(), 10):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        status = {"held": "held", "refused": "rejected"}.get(name, "loaded")
        at = context_of(settings).clock.now() - timedelta(days=1 if name == "new" else 31)
        rows.append(
            {"file_number": number, "source": "web", "file_name": name, "status": status, "signature": signature(path),
             "recorded_at": at, "row_count": 0}
        )  # fmt: skip
    append(settings, "ops_landing_manifest", manifest(rows))
    files["changed"].write_text("other bytes")
    (settings.landing / "web" / "old.done").touch()
    removed = remove_payload_files(context_of(settings))
    assert sorted(p.name for p in removed.landing) == ["old", "refused"]
    assert removed.kept == 2
    assert sorted(p.name for p in (settings.landing / "web").iterdir()) == ["changed", "held", "new"]


def manifest(rows: list[dict[str, object]]) -> object:
    from checkpointkit import table_of

    return table_of("ops_landing_manifest", rows)


def test_sealed_files_go_only_when_bronze_has_committed_them(streams: Streams) -> None:
    rows = streams.load(TODAY)
    streams.load(TODAY)
    (streams.settings.checkpoints / "bronze" / "commits" / "1").unlink()
    streams.number += 1
    streams.seal(rows)
    remove_payload_files(context_of(streams.settings))
    assert sorted(p.name for p in streams.settings.sealed.iterdir()) == ["00000002.parquet", "00000003.parquet"]


def test_a_broken_list_of_files_removes_nothing(streams: Streams) -> None:
    streams.load(OLD)
    (streams.settings.checkpoints / "bronze" / "sources" / "0" / "0").write_text("")
    assert "c360 ingest doctor" in "".join(do(streams.settings))
    assert row_count(streams.settings, "bronze_messages") == 4
    assert len(list(streams.settings.sealed.iterdir())) == 1


def test_no_statistics_of_payloads_come_into_the_log(streams: Streams) -> None:
    from jobs.maintenance.compact import compact

    for _ in range(3):
        streams.load(TODAY)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    assert compact(settings, "bronze_messages").before == 3
    log = Path(lake_table("bronze_messages").path(settings)) / "_delta_log"
    adds = [json.loads(line).get("add") for file in log.glob("*.json") for line in file.read_text().splitlines()]
    compacted = [add for add in adds if add and not add["dataChange"]]
    assert len(compacted) == 1
    assert "example.com" not in compacted[0]["stats"]


def test_how_far_kafka_had_come_outlives_its_rows(streams: Streams) -> None:
    settings = streams.settings
    streams.load(TODAY)
    for line, (partition, offset) in enumerate([(0, 40), (0, 41), (1, 7)], start=1):
        row = bronze_row(7, line, OLD) | {"origin": f"kafka:shop.events:{partition}:{offset}", "file_name": None}
        append(settings, "bronze_messages", table_of("bronze_messages", [row]))
        name, kept = placed(row, "accepted", "another:0")
        append(settings, name, table_of(name, [kept]))
    do(settings)
    assert days_of(settings, "bronze_messages", "landed_date") == {TODAY}
    assert read_offsets(settings, KnownTopic("shop.events", "id", 1, 1, 0, {0: 3}), 0) == {0: 42, 1: 8}
    assert read_offsets(settings, KnownTopic("shop", "id", 2, 1, 0, {0: 3}), 0) == {0: 3}
    assert retired_count(settings, from_files=False) == 3


def test_nothing_goes_while_the_silver_checkpoint_is_lost(streams: Streams) -> None:
    streams.load(OLD)
    (streams.settings.checkpoints / "silver" / "metadata").unlink()
    with pytest.raises(StreamNeedsError, match="the silver checkpoint is lost"):
        do(streams.settings)
    assert row_count(streams.settings, "bronze_messages") == 4
