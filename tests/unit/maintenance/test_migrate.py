"""Tables of an older c360 brought to today's contracts: columns added, nothing else, safe to repeat, no way back."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from checkpointkit import Row, context_of, table_of
from click.testing import CliRunner, Result
from deltalake import DeltaTable, write_deltalake

from jobs.cli import cli
from jobs.core.catalog import lake_table
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.doctor.fingerprint import changed_contracts, fingerprint_file, remember
from jobs.ingest.run import run_ingest
from jobs.lake import migrate
from jobs.lake.delta import ensure_all, properties, read, version
from jobs.lake.schema import arrow_schema

# What the first tables lacked; the quarantine and bronze got theirs with the collector and the replay.
RECENT = {
    "silver_events": ["flags", "body_hash", "contract_version"],
    "bronze_messages": ["endpoint", "receipt", "payload_error", "is_checked"],
    "quarantine_messages": ["endpoint", "receipt", "payload_error", "replay_rule", "replayed_at", "discard_why"],
    "ops_landing_manifest": ["signature"],
    "ops_balance": ["doubled"],
    "profile_redirects": ["is_simulated"],
}
DAY = date(2024, 3, 1)
ROWS: dict[str, list[Row]] = {
    "silver_events": [{"event_id": str(n), "source": "web", "message_id": str(n), "event_date": DAY} for n in range(3)],
    "bronze_messages": [{"message_id": "1", "source": "web", "landed_date": DAY, "payload": "{}"}],
    "quarantine_messages": [{"message_id": "2", "source": "web", "payload": "{}", "reason_codes": ["bad_number"]}],
    "ops_landing_manifest": [{"file_number": 1, "source": "web", "file_name": "a", "status": "loaded", "row_count": 1}],
    "ops_balance": [{"run_id": "old", "source": "web", "received": 1}],
    "profile_redirects": [{"from_profile_id": "a", "to_profile_id": "b"}],
}
OLD_PROPERTIES = {"delta.logRetentionDuration": "interval 7 days"}


def old_table(settings: Settings, name: str) -> None:
    """The table as an older c360 made it, with rows."""
    declared = lake_table(name)
    schema = pa.schema([f for f in arrow_schema(declared.contract) if f.name not in RECENT[name]])
    rows = table_of(name, ROWS.get(name, [])).select(schema.names)
    path = str(declared.path(settings))
    Path(path).mkdir(parents=True)
    write_deltalake(path, rows, partition_by=list(declared.partition_by) or None, configuration=OLD_PROPERTIES)


@pytest.fixture
def old_home(settings: Settings) -> Settings:
    for name in RECENT:
        old_table(settings, name)
    return settings


def command(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--home", str(settings.home), "lake", "migrate", *arguments], standalone_mode=False)


def test_an_old_home_is_refused_by_ingest_in_one_line_and_then_migrated(old_home: Settings) -> None:
    with pytest.raises(PermanentError, match=r"silver_events.*run: c360 lake migrate"):
        run_ingest(context_of(old_home))
    before = {name: version(old_home, name) for name in RECENT}
    said = command(old_home, "--dry-run").output
    assert "would do  silver_events: add flags (array<string>)" in said
    assert {name: version(old_home, name) for name in RECENT} == before
    assert command(old_home).return_value == 0
    for name in RECENT:
        assert set(read(old_home, name).column_names) == set(lake_table(name).contract.column_names)
        held = DeltaTable(str(lake_table(name).path(old_home))).metadata().configuration
        assert properties(old_home, name).items() <= held.items()
    migrate.require_migrated(old_home)


def test_old_rows_hold_the_fill_and_nothing_else_changes(old_home: Settings) -> None:
    command(old_home)
    rows = read(old_home, "silver_events").to_pylist()
    assert sorted(row["event_id"] for row in rows) == ["0", "1", "2"]
    assert all((row["flags"], row["body_hash"], row["contract_version"]) == ([], "", 0) for row in rows)
    assert read(old_home, "ops_balance")["doubled"].to_pylist() == [0]
    assert read(old_home, "ops_landing_manifest")["signature"].to_pylist() == [""]
    assert read(old_home, "profile_redirects")["is_simulated"].to_pylist() == [True]  # unknown counts as simulated
    bronze = DeltaTable(str(lake_table("bronze_messages").path(old_home)))
    assert read(old_home, "bronze_messages")["is_checked"].to_pylist() == [
        None
    ]  # a stream reads its log: not rewritten
    assert len(bronze.file_uris()) == 1
    assert read(old_home, "quarantine_messages")["payload"].to_pylist() == ["{}"]


def test_a_second_migration_does_nothing(old_home: Settings) -> None:
    command(old_home)
    before = {name: version(old_home, name) for name in RECENT}
    assert command(old_home).output == "0 tables brought to their contracts\n"
    assert {name: version(old_home, name) for name in RECENT} == before


@pytest.mark.parametrize("step", ["add_columns", "update"])
def test_a_migration_that_is_cut_off_is_finished_by_the_next(
    old_home: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        owner = "deltalake.table.TableAlterer" if step == "add_columns" else "deltalake.DeltaTable"
        patch.setattr(f"{owner}.{step}", cut)
        with pytest.raises(KeyboardInterrupt):
            migrate.carry_out(old_home, migrate.plans(old_home))
    with pytest.raises(PermanentError, match="cut off; run: c360 lake migrate"):
        run_ingest(context_of(old_home))
    command(old_home)
    assert migrate.plans(old_home) == []
    assert read(old_home, "silver_events")["body_hash"].to_pylist() == ["", "", ""]


def test_a_type_that_differs_is_refused_with_a_plan_and_nothing_is_done(settings: Settings) -> None:
    path = lake_table("profile_redirects").path(settings)
    path.mkdir(parents=True)
    write_deltalake(str(path), pa.table({"from_profile_id": pa.array([1], pa.int64())}))
    said = command(settings, "--dry-run")
    assert "column from_profile_id is int64, its contract says string; nothing was changed" in said.output
    assert said.return_value == 1
    refusal = command(settings).exception
    assert isinstance(refusal, PermanentError)
    assert version(settings, "profile_redirects") == 0


def test_a_table_of_a_newer_c360_is_refused(settings: Settings) -> None:
    ensure_all(settings)
    path = str(lake_table("profile_redirects").path(settings))
    rows = table_of("profile_redirects", [{"from_profile_id": "a"}]).append_column("new", pa.array(["x"]))
    write_deltalake(path, rows, mode="append", schema_mode="merge")
    with pytest.raises(PermanentError, match=r"profile_redirects.*c360 lake migrate"):
        run_ingest(context_of(settings))
    refusal = command(settings).exception
    assert "a newer c360 wrote this table" in str(refusal)


def test_a_changed_contract_under_a_running_stream_is_refused_with_a_plan(settings: Settings) -> None:
    """Spark accepts it silently. Types both ways, nullability, nesting, case, a column gone: six of six."""
    remember(settings, "silver")
    assert changed_contracts(settings, "silver") == []
    text = fingerprint_file(settings, "silver").read_text()
    changes = {
        '"properties": "string"': '"properties": "long"', '"receive_position": "long required"': '"receive_position": "string"',
        '"consent": "string"': '"consent": "array<string>"', '"user_id": "string"': '"USER_ID": "string"',
        '"phone_token": "string"': '"phone": "string"',
    }  # fmt: skip
    for now, before in changes.items():
        assert now in text
        fingerprint_file(settings, "silver").write_text(text.replace(now, before))
        assert changed_contracts(settings, "silver"), before
    fingerprint_file(settings, "silver").write_text(text.replace('"payload": "string"', '"payload": "string required"'))
    assert changed_contracts(settings, "silver") == []  # what was promised is still there
    fingerprint_file(settings, "silver").write_text(
        text.replace('"event_id": "string required"', '"event_id": "string"')
    )
    assert "silver_events.event_id was string and is string required in its contract" in changed_contracts(
        settings, "silver"
    )


def test_the_refusal_reaches_the_person(settings: Settings) -> None:
    ensure_all(settings)
    remember(settings, "silver")
    file = fingerprint_file(settings, "silver")
    file.write_text(file.read_text().replace('"properties": "string"', '"properties": "long"'))
    with pytest.raises(PermanentError, match=r"silver_events\.properties was long and is string.*restore the contract"):
        run_ingest(context_of(settings))
