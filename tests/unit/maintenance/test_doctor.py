"""Each file of both checkpoints deleted or emptied in turn: repaired or refused, nothing lost, nothing loaded twice."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from checkpointkit import TODAY, Streams, bronze_row, context_of, table_of
from click.testing import CliRunner
from deltalake import DeltaTable
from settingskit import make_settings
from sparkmodel import Restarted, copy_home, lost_and_doubled, versions

from jobs.cli import cli
from jobs.core.catalog import lake_table
from jobs.core.errors import PermanentError, UsageError
from jobs.core.failpoints import Failpoint
from jobs.core.settings import Settings, bin_path
from jobs.ingest.doctor import restart
from jobs.ingest.doctor.examine import examine, examine_all
from jobs.ingest.doctor.findings import Kind
from jobs.ingest.doctor.guard import repair, require_ready
from jobs.ingest.doctor.restart import new_checkpoint
from jobs.ingest.run import run_ingest
from jobs.lake.checkpoints import STREAMS, checkpoint_id, silver_position
from jobs.lake.delta import append, row_count
from jobs.lake.deltalog import commit_file

FILES = [
    "bronze/metadata", "bronze/offsets/0", "bronze/offsets/1", "bronze/offsets/2", "bronze/commits/0",
    "bronze/commits/1", "bronze/commits/2", "bronze/sources/0/0", "bronze/sources/0/1", "bronze/sources/0/2",
    "silver/metadata", "silver/offsets/0", "silver/offsets/1", "silver/offsets/2", "silver/commits/0",
    "silver/commits/1", "silver/commits/2",
]  # fmt: skip
# The two states differ in their last batch, and in silver alone.
CASES = {
    "idle": [name for name in FILES if "silver" not in name or name.endswith(("2", "metadata"))],
    "killed": [name for name in FILES if "silver" in name and name != "silver/commits/2"],
}
LINES = 4
Homes = dict[str, Settings]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    """`idle`: three batches through both streams. `killed`: the third died between the tables of silver."""
    made: Homes = {}
    for state in ("idle", "killed"):
        streams = Streams(make_settings(tmp_path_factory.mktemp(state) / "home"))
        streams.load(TODAY, LINES)
        streams.load(TODAY, LINES)
        rows = streams.load(TODAY, LINES, commit=state == "idle")
        if state == "killed":
            streams.place(rows, ("silver_events", "ops_dropped_messages"))
            streams.number += 1
            streams.seal([row | {"origin": f"file:4:{n}"} for n, row in enumerate(rows, 1)])
        made[state] = streams.settings
    return made


def mend(settings: Settings) -> set[Kind]:
    """As a person would, by what the doctor says; what kinds of findings there were."""
    kinds = {finding.kind for finding in examine_all(settings)}
    repair(settings)
    for stream in STREAMS:
        if any(finding.kind is Kind.LOST for finding in examine(settings, stream)):
            new_checkpoint(context_of(settings), stream)
    assert [finding for finding in examine_all(settings) if finding.blocks] == []
    return kinds


@pytest.mark.parametrize("state", ["idle", "killed"])
@pytest.mark.parametrize("damage", ["deleted", "emptied"])
def test_every_file_of_a_checkpoint_in_turn(homes: Homes, state: str, damage: str, tmp_path: Path) -> None:
    seen: Counter[Kind] = Counter()
    for name in CASES[state]:
        settings = copy_home(homes[state], tmp_path / name.replace("/", "-"))
        path = settings.checkpoints / name
        path.unlink() if damage == "deleted" else path.write_text("")
        before = versions(settings)
        found = [finding for finding in examine_all(settings) if finding.blocks]
        if found:
            with pytest.raises(PermanentError):
                require_ready(settings)
            assert versions(settings) == before
        seen.update(mend(settings))
        Restarted(settings).run()
        sealed = LINES * (4 if state == "killed" else 3)
        assert (name, *lost_and_doubled(settings, sealed)) == (name, 0, 0)
    assert seen[Kind.LOST] >= 3
    assert (seen[Kind.REPAIR] >= 1) == (damage == "emptied")


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("state", ["idle", "killed"])
def test_a_lost_checkpoint_is_refused_and_begun_anew_on_proof(
    homes: Homes, state: str, stream: str, tmp_path: Path
) -> None:
    """P5: exit code 1 and nothing written; then by the named command nothing lost, nothing doubled."""
    import shutil

    settings = copy_home(homes[state], tmp_path / "home")
    shutil.rmtree(settings.checkpoints / stream)
    before = versions(settings)
    with pytest.raises(PermanentError, match=f"c360 ingest doctor --new-checkpoint {stream}") as refusal:
        run_ingest(context_of(settings))
    assert refusal.value.exit_code == 1
    assert versions(settings) == before
    new_checkpoint(context_of(settings), stream)
    Restarted(settings).run()
    assert lost_and_doubled(settings, LINES * (4 if state == "killed" else 3)) == (0, 0)


def test_without_the_guard_a_lost_checkpoint_doubles(homes: Homes, tmp_path: Path) -> None:
    """The test of the test: a stream that simply starts over, as Spark would."""
    import json
    import shutil

    settings = copy_home(homes["idle"], tmp_path / "home")
    for stream in STREAMS:
        shutil.rmtree(settings.checkpoints / stream)
        (settings.checkpoints / stream).mkdir()
        (settings.checkpoints / stream / "metadata").write_text(json.dumps({"id": f"new-{stream}"}))
    Restarted(settings).run()
    assert lost_and_doubled(settings, LINES * 3)[1] > 0


@pytest.mark.parametrize(
    "place", [Failpoint.AFTER_ROLLBACK_BEFORE_NEW_CHECKPOINT, Failpoint.AFTER_OLD_CHECKPOINT_ASIDE]
)
def test_a_kill_in_the_middle_of_a_new_beginning(homes: Homes, place: Failpoint, tmp_path: Path) -> None:
    settings = copy_home(homes["killed"], tmp_path / "home")
    (settings.checkpoints / "silver" / "metadata").unlink()
    environment = settings.child_environment | {"C360_TESTING": "1", "C360_FAIL_AT": place.value}
    command = [bin_path("c360"), "ingest", "doctor", "--new-checkpoint", "silver"]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    with pytest.raises(PermanentError, match="--new-checkpoint silver"):
        require_ready(settings)
    new_checkpoint(context_of(settings), "silver")
    Restarted(settings).run()
    assert lost_and_doubled(settings, LINES * 4) == (0, 0)


def test_what_bronze_no_longer_has_is_never_taken_back(homes: Homes, tmp_path: Path) -> None:
    """A table without rows of a batch has no commit of it: the batch looks half written, and may be months old."""
    settings = copy_home(homes["killed"], tmp_path / "home")
    before = row_count(settings, "silver_events")
    DeltaTable(str(lake_table("bronze_messages").path(settings))).delete()
    (settings.checkpoints / "silver" / "metadata").unlink()
    assert new_checkpoint(context_of(settings), "silver").rolled_back is None
    assert row_count(settings, "silver_events") == before > 0


def test_a_new_checkpoint_that_is_lost_in_its_turn_is_no_free_start(homes: Homes, tmp_path: Path) -> None:
    settings = copy_home(homes["killed"], tmp_path / "home")
    (settings.checkpoints / "silver" / "metadata").unlink()
    new_checkpoint(context_of(settings), "silver")
    Restarted(settings).run()
    for path in (settings.checkpoints / "silver" / "offsets").iterdir():
        path.unlink()
    assert [f.kind for f in examine(settings, "silver")] == [Kind.LOST]
    assert set(restart._last_batches(settings)) == {checkpoint_id(settings)}  # those before were proven in their time
    mend(settings)
    Restarted(settings).run()
    assert lost_and_doubled(settings, LINES * 4) == (0, 0)


def test_a_moved_home_is_told_from_its_list_of_files(homes: Homes, tmp_path: Path) -> None:
    settings = copy_home(homes["idle"], tmp_path / "home")
    settings.home.rename(tmp_path / "elsewhere")
    moved = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    (finding,) = [f for f in examine_all(moved) if f.blocks]
    assert "of another folder" in finding.what
    mend(moved)
    Restarted(moved).run()
    assert lost_and_doubled(moved, LINES * 3) == (0, 0)


def test_a_half_loaded_sealed_file_is_no_proof(homes: Homes, tmp_path: Path) -> None:
    from deltalake import DeltaTable

    from jobs.core.catalog import lake_table

    settings = copy_home(homes["idle"], tmp_path / "home")
    (settings.checkpoints / "bronze" / "metadata").unlink()
    DeltaTable(str(lake_table("bronze_messages").path(settings))).delete("origin = 'file:2:1'")
    with pytest.raises(PermanentError, match=r"3 of the 4 messages of sealed/00000002\.parquet"):
        new_checkpoint(context_of(settings), "bronze")
    assert len(list(settings.sealed.glob("*.parquet"))) == 3


def test_what_another_stream_brought_to_bronze_needs_no_checkpoint_of_files(settings: Settings) -> None:
    row = bronze_row(1, 1, TODAY) | {"origin": "kafka:events:0:1"}
    append(settings, "bronze_messages", table_of("bronze_messages", [row]))
    assert examine(settings, "bronze") == []
    append(settings, "bronze_messages", table_of("bronze_messages", [bronze_row(1, 1, TODAY)]))
    assert [finding.kind for finding in examine(settings, "bronze")] == [Kind.LOST]


def test_silver_that_lags_behind_bronze_is_fine_as_long_as_the_log_is_there(homes: Homes, tmp_path: Path) -> None:
    """A batch of bronze that silver has not read: the usual state after any kill."""
    settings = copy_home(homes["idle"], tmp_path / "home")
    position = silver_position(settings)
    assert position is not None
    append(settings, "bronze_messages", table_of("bronze_messages", [bronze_row(9, 1, TODAY)]))
    bronze = DeltaTable(str(lake_table("bronze_messages").path(settings)))
    assert bronze.version() == position.version
    assert examine(settings, "silver") == []
    bronze.create_checkpoint()
    commit_file(lake_table("bronze_messages").path(settings), position.version).rename(tmp_path / "gone")
    assert [finding.kind for finding in examine(settings, "silver")] == [Kind.LOST]


def test_a_checksum_without_its_entry_is_dropped(homes: Homes, tmp_path: Path) -> None:
    """Spark stops at the rename of the new entry; what is older than the newest entry is never written again."""
    settings = copy_home(homes["idle"], tmp_path / "home")
    commits = settings.checkpoints / "bronze" / "commits"
    (commits / "2").unlink()
    for name in (".2.crc", ".1.crc", ".0.crc"):
        (commits / name).write_text("")
    (commits / "0").unlink()
    (finding,) = [f for f in examine_all(settings) if f.blocks]
    assert (finding.kind, finding.what) == (Kind.REPAIR, "commits/2 is gone and its checksum is left")
    repair(settings)
    assert sorted(p.name for p in commits.iterdir()) == [".0.crc", ".1.crc", "1"]
    require_ready(settings)


def test_a_whole_checkpoint_is_not_begun_anew(homes: Homes) -> None:
    with pytest.raises(UsageError, match="needs no new beginning"):
        new_checkpoint(context_of(homes["idle"]), "silver")


def test_the_command_says_each_finding_in_a_line(homes: Homes, tmp_path: Path) -> None:
    settings = copy_home(homes["killed"], tmp_path / "home")
    (settings.checkpoints / "silver" / "commits" / "1").write_text("")
    said = CliRunner().invoke(cli, ["--home", str(settings.home), "ingest", "doctor"], standalone_mode=False)
    assert (
        "repair    silver: commits/1 is torn; its batch is delivered again; remedy: c360 ingest doctor --repair"
        in said.output
    )
    assert said.return_value == 1
    said = CliRunner().invoke(
        cli, ["--home", str(settings.home), "ingest", "doctor", "--repair"], standalone_mode=False
    )
    assert said.output.splitlines()[-1] == "both streams may start"
    assert row_count(settings, "silver_events") == 3
