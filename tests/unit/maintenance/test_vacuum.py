"""Old files go; never one that a reader of the last days, a writer at work or the silver stream still needs."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checkpointkit import TODAY, Streams
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.errors import UsageError
from jobs.core.failpoints import Failpoint
from jobs.core.settings import Settings, bin_path, load_settings
from jobs.ingest.balance import in_flight
from jobs.lake import deltalog
from jobs.maintenance import stream_needs
from jobs.maintenance.compact import compact
from jobs.maintenance.vacuum import expendable, vacuum

AT = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def bronze_files(settings: Settings) -> set[str]:
    folder = lake_table("bronze_messages").path(settings)
    return {str(p.relative_to(folder)) for p in folder.rglob("*.parquet") if deltalog.LOG not in p.parts}


def compacted(streams: Streams, *, loads: int = 3) -> Settings:
    """A bronze whose small files have been joined, and are still on disk."""
    for _ in range(loads):
        streams.load(TODAY)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    compact(settings, "bronze_messages")
    return settings


def newest_change(settings: Settings) -> datetime:
    folder = lake_table("bronze_messages").path(settings)
    return datetime.fromtimestamp(max(p.stat().st_mtime for p in folder.rglob("*")), tz=UTC)


def test_what_may_go_is_unneeded_removed_long_ago_and_written_long_ago() -> None:
    old, young = AT - 2 * HOUR, AT + HOUR
    written = {"named": old, "gone": old, "just removed": old, "stray": old, "being written": young}
    assert expendable(written, {"named"}, {"gone": old, "just removed": young}, AT) == ["gone", "stray"]


def test_a_reader_that_pauses_48_hours_while_vacuum_runs_hourly_misses_no_file(streams: Streams) -> None:
    """P10, by a clock of our own: hourly from the removal of the reader's files on; then the floor itself."""
    for _ in range(3):
        streams.load(TODAY)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    path = str(lake_table("bronze_messages").path(settings))
    reader = DeltaTable(path)
    compact(settings, "bronze_messages")
    start = newest_change(settings)
    for hour in range(1, 49):
        assert vacuum(settings, "bronze_messages", start + hour * HOUR).files == 0
    assert reader.to_pyarrow_table().num_rows == 12
    assert vacuum(settings, "bronze_messages", start + 167 * HOUR).files == 0
    assert vacuum(settings, "bronze_messages", start + 169 * HOUR).files == 2  # the last batch may come again
    with pytest.raises(FileNotFoundError):
        reader.to_pyarrow_table()
    assert DeltaTable(path).to_pyarrow_table().num_rows == 12


def test_the_floor_follows_the_longest_reader(settings: Settings) -> None:
    assert settings.file_retention_hours == 168
    assert settings.model_copy(update={"longest_reader_hours": 400}).file_retention_hours == 424


@pytest.mark.parametrize(("name", "value"), [("VACUUM_HOURS", "167"), ("VACUUM_HOURS", "0"), ("RETENTION_DAYS", "0")])
def test_a_setting_outside_its_range_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"C360_{name}", value)
    with pytest.raises(UsageError, match=f"C360_{name}: .*greater than or equal to"):
        load_settings()


def test_what_a_stopped_stream_has_not_read_stays_however_old(streams: Streams) -> None:
    streams.load(TODAY)
    streams.load(TODAY, commit=False)
    streams.load(TODAY, commit=False)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    compact(settings, "bronze_messages")
    later = newest_change(settings) + 1000 * HOUR
    unread = {
        path for commit in deltalog.commits(lake_table("bronze_messages").path(settings), 2) for path in commit.added
    }
    vacuum(settings, "bronze_messages", later)
    assert unread < bronze_files(settings)
    assert in_flight(settings) == {"web": 8}


def test_without_the_guard_the_stream_would_lose_them(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    streams.load(TODAY)
    streams.load(TODAY, commit=False)
    settings = streams.settings.model_copy(update={"compact_min_files": 2})
    compact(settings, "bronze_messages")
    monkeypatch.setattr("jobs.maintenance.vacuum.needed_by_silver", lambda _: set())
    vacuum(settings, "bronze_messages", newest_change(settings) + 1000 * HOUR)
    with pytest.raises(FileNotFoundError):
        in_flight(settings)


def test_an_unreadable_position_keeps_everything(streams: Streams) -> None:
    settings = compacted(streams)
    offsets = settings.checkpoints / "silver" / "offsets"
    for path in offsets.iterdir():
        path.write_text("")
    done = vacuum(settings, "bronze_messages", newest_change(settings) + 1000 * HOUR)
    assert "c360 ingest doctor" in done.note
    assert len(bronze_files(settings)) == 4


def test_old_commits_of_bronze_go_only_when_the_stream_is_past_them(streams: Streams) -> None:
    settings = compacted(streams)
    now = newest_change(settings)
    assert stream_needs.log_may_go(settings, now)
    position = stream_needs.position(settings)
    assert position is not None
    commit = deltalog.commit_file(lake_table("bronze_messages").path(settings), position.version)
    week_ago = (now - 169 * HOUR).timestamp()
    os.utime(commit, (week_ago, week_ago))
    assert not stream_needs.log_may_go(settings, now)


@pytest.mark.parametrize(("hours_ago", "cleaned"), [(1, 1), (169, 0)])
def test_the_log_is_cleaned_by_the_clock_of_the_machine_whatever_the_runs_is(
    streams: Streams, monkeypatch: pytest.MonkeyPatch, hours_ago: int, cleaned: int
) -> None:
    """A run under an old clock takes the commit that the stream is at for young; delta-rs would clean it away."""
    settings = compacted(streams)
    position = stream_needs.position(settings)
    assert position is not None
    written = (Clock().now() - hours_ago * HOUR).timestamp()
    os.utime(deltalog.commit_file(lake_table("bronze_messages").path(settings), position.version), (written, written))
    calls: list[int] = []
    monkeypatch.setattr(DeltaTable, "cleanup_metadata", lambda _: calls.append(1))
    vacuum(settings, "bronze_messages", AT)
    assert len(calls) == cleaned


def test_a_table_whose_log_forgets_sooner_is_left_alone(streams: Streams) -> None:
    settings = compacted(streams).model_copy(update={"longest_reader_hours": 400})
    assert "c360 lake migrate" in vacuum(settings, "bronze_messages", newest_change(settings) + 1000 * HOUR).note


def test_a_stray_file_and_its_checksum_go_with_their_time(streams: Streams) -> None:
    settings = compacted(streams)
    folder: Path = lake_table("bronze_messages").path(settings)
    stray = folder / "landed_date=2024-03-31" / "part-killed.parquet"
    stray.write_bytes(b"half")
    (stray.parent / ".part-killed.parquet.crc").write_bytes(b"crc")
    now = newest_change(settings)
    vacuum(settings, "bronze_messages", now + 167 * HOUR)
    assert stray.exists()
    assert vacuum(settings, "bronze_messages", now + 169 * HOUR, rehearsal=True).files == 3
    vacuum(settings, "bronze_messages", now + 169 * HOUR)
    assert not stray.exists()
    assert not (stray.parent / ".part-killed.parquet.crc").exists()


def test_a_kill_in_the_middle_is_made_good_by_the_next_run(streams: Streams) -> None:
    settings = compacted(streams)
    later = newest_change(settings) + 169 * HOUR
    environment = settings.child_environment | {
        "C360_TESTING": "1", "C360_FAIL_AT": Failpoint.DURING_VACUUM.value,
        "C360_NOW": later.isoformat(),
    }  # fmt: skip
    command = [bin_path("c360"), "maintain", "vacuum", "bronze_messages"]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert DeltaTable(str(lake_table("bronze_messages").path(settings))).to_pyarrow_table().num_rows == 12
    assert vacuum(settings, "bronze_messages", later).files == 1
    assert len(bronze_files(settings)) == 2
