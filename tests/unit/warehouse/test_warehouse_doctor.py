"""What the doctor finds, says and mends; the rebuild itself, to equal tables, is in tests/dbt/test_rebuild.py."""

import json
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from publishdrill.builds import make_build
from test_publish import now_published, publish_until

from jobs.core.context import Context
from jobs.core.errors import GateError, RetryableError
from jobs.core.failpoints import Failpoint
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.warehouse import doctor
from jobs.warehouse.commands import group
from jobs.warehouse.doctor import Kind, diagnose
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import as_of_folder, pending_file, previous_folder, sidecar_file, wal_file
from jobs.warehouse.private import private_folder
from jobs.warehouse.sidecar import read_sidecar, storage_version, write


def kinds(settings: Settings) -> list[Kind]:
    return [finding.kind for finding in diagnose(settings)]


def c360(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(group, list(arguments), obj=Context.from_settings(settings), standalone_mode=False)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def put_right(path: Path, statement: str, settings: Settings) -> None:
    """A change that its own sidecar vouches for: only what is inside can give it away."""
    known = read_sidecar(settings)
    assert known is not None
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)
    digest = doctor.hash_file(path)
    write(sidecar_file(settings), type(known)(**vars(known) | {"sha256": digest}))


def test_a_whole_warehouse_has_no_findings(template: Settings) -> None:
    done = c360(template, "doctor")
    assert (done.return_value, done.output) == (0, "the published warehouse is whole\n")


def test_damage_is_told_with_its_remedy_and_what_there_is_until_then(published: Settings) -> None:
    damage(published.warehouse_file)
    done = c360(published, "doctor")
    assert done.return_value == 1
    assert "damaged     the sha256 of c360.duckdb" in done.output
    assert "run: c360 warehouse doctor --repair" in done.output
    assert "until then: c360 warehouse rollback a" in done.output
    assert c360(published, "rollback").exit_code == 0
    assert c360(published, "doctor").return_value == 0


def test_damaged_files_are_not_opened(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr(doctor, "open_published", opened)
    damage(published.warehouse_file)
    assert kinds(published) == [Kind.DAMAGED]


@pytest.mark.parametrize("loss", ["file", "sidecar", "half a sidecar"])
def test_what_is_gone_is_found(published: Settings, loss: str) -> None:
    known = sidecar_file(published)
    if loss == "file":
        published.warehouse_file.unlink()
    elif loss == "sidecar":
        known.unlink()
    else:
        known.write_text(known.read_text()[:40])
    assert kinds(published) == [Kind.MISSING if loss == "file" else Kind.UNKNOWN]
    assert c360(published, "doctor").return_value == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("update ops.build_info set build_id = 'z'", "of build z, its sidecar of b"),
        ("comment on table marts.fct_orders is 'build z'", "1 tables are of another build: marts.fct_orders"),
    ],
)
def test_the_ids_inside_must_agree_with_the_sidecar(published: Settings, statement: str, said: str) -> None:
    put_right(published.warehouse_file, statement, published)
    assert [said in finding.what for finding in diagnose(published)] == [True]


def test_a_table_that_cannot_be_read_is_named(published: Settings) -> None:
    """A view that fails when it is read stands for a block that does not decode: the sidecar vouches for the bytes."""
    statement = "create view marts.odd as select error('no such block') as x; comment on view marts.odd is 'build b'"
    put_right(published.warehouse_file, statement, published)
    assert [f.what.startswith("marts.odd cannot be read: ") for f in diagnose(published)] == [True]


def test_another_storage_version_is_told(published: Settings) -> None:
    known = read_sidecar(published)
    assert known is not None
    assert storage_version(published.warehouse_file) == known.storage_version
    write(sidecar_file(published), type(known)(**vars(known) | {"storage_version": "v0.9.0+"}))
    assert kinds(published) == [Kind.DAMAGED]


def test_a_write_ahead_log_is_removed_by_repair(published: Settings) -> None:
    wal_file(published.warehouse_file).write_bytes(b"of another file")
    assert kinds(published) == [Kind.LEFTOVER]
    assert diagnose(published)[0].remedy == "run: c360 warehouse doctor --repair (removes it)"
    done = c360(published, "doctor", "--repair")
    assert done.return_value == 0
    assert "c360.duckdb.wal is removed" in done.output
    assert now_published(published) == "b"
    assert delta.read(published, "ops_runs").to_pylist()[-1]["stage"] == "warehouse.repair"


@pytest.mark.parametrize("failpoint", [Failpoint.AFTER_SYNC_BEFORE_REPLACE, Failpoint.AFTER_REPLACE_BEFORE_SIDECAR])
def test_a_swap_that_was_broken_off_affects_no_reader_and_is_finished(
    published: Settings, failpoint: Failpoint
) -> None:
    make_build(published, "c", 3)
    publish_until(published, failpoint)
    assert kinds(published) == [Kind.BROKEN_OFF]
    with writer_lock(published):
        assert kinds(published) == [], "while a writer is at work this is no finding"
    assert c360(published, "doctor").return_value == 0
    assert "a swap that was broken off is finished" in c360(published, "doctor", "--repair").output
    assert not pending_file(published).exists()
    assert now_published(published) == ("c" if failpoint == Failpoint.AFTER_REPLACE_BEFORE_SIDECAR else "b")


def test_what_killed_commands_have_left_is_told_and_removed_and_what_is_at_work_is_not(published: Settings) -> None:
    left = [published.warehouse_file.with_name(name) for name in ("export-x1", "docs-x2")]
    for folder in left:
        folder.mkdir()
        (folder / "a.parquet").write_bytes(b"half")
    drafts = [as_of_folder(published) / f"20171231T000000Z{ending}" for ending in (".tmp", ".tmp.wal")]
    as_of_folder(published).mkdir()
    for draft in drafts:
        draft.write_bytes(b"half")
    with private_folder(published, "export-") as at_work, writer_lock(published):
        (at_work / "b.parquet").write_bytes(b"half")
        assert kinds(published) == [Kind.ABANDONED] * 2, "a writer may be at the drafts"
    with private_folder(published, "docs-") as at_work:
        (at_work / "b.parquet").write_bytes(b"half")
        assert kinds(published) == [Kind.ABANDONED] * 4
        assert c360(published, "doctor").return_value == 0, "readers do not notice"
        assert c360(published, "doctor", "--repair").return_value == 0
        assert [path for path in (*left, *drafts) if path.exists()] == []
        assert (at_work / "b.parquet").exists()
    assert kinds(published) == []


def test_a_damaged_file_for_a_rollback_is_told_and_removed(published: Settings) -> None:
    damage(previous_folder(published) / "a.duckdb")
    assert kinds(published) == [Kind.PREVIOUS]
    assert c360(published, "doctor", "--repair").return_value == 0
    assert list(previous_folder(published).iterdir()) == []


def test_too_little_room_is_told(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1})())
    assert kinds(published) == [Kind.ROOM]


def stand_in(settings: Settings, code: int) -> Settings:
    """Settings whose `c360` writes down its arguments and ends with this code."""
    script = settings.home / "c360"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{settings.home}/said"\nexit {code}\n')
    script.chmod(0o700)
    return settings.model_copy(update={"task_command": script})


@pytest.mark.parametrize("loss", ["file", "sidecar", "damage"])
def test_repair_builds_judges_and_publishes(published: Settings, loss: str) -> None:
    settings = stand_in(published, 0)
    if loss == "damage":
        damage(settings.warehouse_file)
    else:
        (settings.warehouse_file if loss == "file" else sidecar_file(settings)).unlink()
    done = c360(settings, "doctor", "--repair")
    assert done.return_value == 1, "the stand-in has built nothing"
    said = (settings.home / "said").read_text().splitlines()
    assert said == ["warehouse build", "quality gate marts", "warehouse publish"]


@pytest.mark.parametrize(("code", "error"), [(3, GateError), (1, RetryableError)])
def test_repair_stops_where_a_step_does(published: Settings, code: int, error: type[Exception]) -> None:
    settings = stand_in(published, code)
    settings.warehouse_file.unlink()
    assert isinstance(c360(settings, "doctor", "--repair").exception, error)
    assert (settings.home / "said").read_text() == "warehouse build\n"
    recorded = delta.read(settings, "ops_runs").to_pylist()[-1]
    assert recorded["status"] == ("gated" if code == 3 else "failed")
    assert json.loads(recorded["details"])["findings"]
