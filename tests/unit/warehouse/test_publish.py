"""What a publish leaves behind wherever it is broken off, what the epoch refuses, and the id in every table."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from publishdrill.builds import make_build, pass_gate

from jobs.core.errors import PermanentError, RetryableError, UsageError
from jobs.core.failpoints import Failpoint, Sabotage
from jobs.core.hashing import hash_file
from jobs.core.settings import PROJECT_ROOT, Settings
from jobs.warehouse import swap
from jobs.warehouse.epoch import newest_epoch
from jobs.warehouse.follow import PublishedReader
from jobs.warehouse.lock import writer_lock
from jobs.warehouse.paths import build_file, epoch_folder, pending_file, previous_folder, sidecar_file
from jobs.warehouse.publish import publish
from jobs.warehouse.reader import build_id, open_build, open_published
from jobs.warehouse.repair import repair
from jobs.warehouse.rollback import rollback
from jobs.warehouse.sidecar import read_sidecar
from jobs.warehouse.stamp import stamps

FOUR = (
    Failpoint.BEFORE_CHECKPOINT,
    Failpoint.AFTER_CHECKPOINT_BEFORE_SYNC,
    Failpoint.AFTER_SYNC_BEFORE_REPLACE,
    Failpoint.AFTER_REPLACE_BEFORE_SIDECAR,
)
PUBLISH = (
    "from jobs.core.settings import load_settings; from jobs.warehouse.publish import publish; publish(load_settings())"
)


def now_published(settings: Settings) -> str:
    """The build id of the published file, which its sidecar must confirm."""
    connection = open_published(settings)
    try:
        found = build_id(connection)
        assert set(stamps(connection).values()) == {found}
    finally:
        connection.close()
    known = read_sidecar(settings)
    assert known is not None
    assert (known.build_id, known.sha256) == (found, hash_file(settings.warehouse_file))
    return str(found)


def publish_until(settings: Settings, failpoint: Failpoint) -> None:
    """In a process of its own, which kills itself there."""
    given = {"C360_FAIL_AT": str(failpoint), "C360_TESTING": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH],
        env=settings.child_environment | given,
        cwd=PROJECT_ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.parametrize("failpoint", FOUR)
def test_the_next_publish_mends_a_crash(published: Settings, failpoint: Failpoint) -> None:
    make_build(published, "c", 3)
    publish_until(published, failpoint)
    is_swapped = failpoint == Failpoint.AFTER_REPLACE_BEFORE_SIDECAR
    connection = open_published(published)
    assert build_id(connection) == ("c" if is_swapped else "b"), "readers need nobody to mend anything"
    connection.close()
    assert publish(published).build_id == "c"
    assert now_published(published) == "c"
    assert not pending_file(published).exists()
    assert not build_file(published).exists()
    assert sorted(path.name for path in previous_folder(published).iterdir()) == ["b.duckdb", "b.json"]


def test_the_sidecar_says_what_the_file_is(published: Settings) -> None:
    known = read_sidecar(published)
    assert known is not None
    assert known.duckdb_version == duckdb.__version__
    assert known.storage_version.startswith("v1.")
    assert known.epoch > known.build_epoch > 0
    assert now_published(published) == "b"
    assert publish(published) == known, "publishing twice is publishing once"


def test_epochs_grow_with_every_writer_and_survive_the_loss_of_their_folder(published: Settings) -> None:
    known = read_sidecar(published)
    assert known is not None
    assert newest_epoch(published) == known.epoch
    for path in epoch_folder(published).iterdir():
        path.unlink()
    with writer_lock(published) as fence:
        assert fence.epoch == known.epoch + 1


def test_only_the_newest_epochs_are_kept(settings: Settings) -> None:
    for _ in range(40):
        with writer_lock(settings) as fence:
            pass
    assert fence.epoch == 40
    assert len(list(epoch_folder(settings).iterdir())) == 16


def overtaken(published: Settings, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """A publish of `b` again stands still right before its swap; meanwhile its lock's file goes, and `c` is published."""
    make_build(published, "b", 2)
    stalled = build_file(published)
    aside = stalled.with_name("stalled.duckdb")

    def stand_still(*_: object, **__: object) -> None:
        monkeypatch.undo()
        stalled.rename(aside)
        stalled.with_name("writer.lock").unlink()
        make_build(published, "c", 3)
        publish(published)
        aside.rename(stalled)

    monkeypatch.setattr(swap, "_keep_current", stand_still)
    publish(settings)


def test_a_writer_that_another_has_overtaken_publishes_nothing(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RetryableError, match="taken over") as raised:
        overtaken(published, monkeypatch, published)
    assert "\n" not in str(raised.value)
    assert now_published(published) == "c"
    with pytest.raises(RetryableError, match="older than the published one"):
        publish(published)  # the leftover of the overtaken writer is no build to publish later either
    assert now_published(published) == "c"


def test_without_the_epoch_it_would(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    careless = published.model_copy(update={"sabotage": str(Sabotage.IGNORE_EPOCH), "testing": True})
    overtaken(published, monkeypatch, careless)
    assert now_published(published) == "b"


def test_a_disk_without_locks_leaves_it_to_the_epoch(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("jobs.warehouse.lock.fcntl.flock", no_locks)
    with writer_lock(settings) as first, writer_lock(settings) as second:
        with pytest.raises(RetryableError, match="taken over"):
            first.check()
        second.check()


def test_a_table_of_another_build_is_no_whole_build(judged: Settings) -> None:
    with duckdb.connect(str(make_build(judged, "a"))) as connection:
        connection.execute("comment on table marts.fct_orders is 'build z'")
    with pytest.raises(PermanentError, match=r"do not carry the id of this build \(marts.fct_orders\)"):
        publish(judged)


def test_a_published_file_that_is_not_its_sidecars_is_not_blessed(published: Settings) -> None:
    known = sidecar_file(published)
    known.write_text(known.read_text().replace('"build_id": "b"', '"build_id": "z"'))
    with pytest.raises(PermanentError, match="c360 warehouse doctor"):
        publish(published)


def test_so_many_published_files_are_kept_as_the_settings_say(settings: Settings) -> None:
    settings = settings.model_copy(update={"warehouse_previous": 2})
    names = ["a", "b", "c", "d"]
    pass_gate(settings, *names)
    for name in names:
        make_build(settings, name)
        publish(settings)
    assert sorted(path.stem for path in previous_folder(settings).glob("*.duckdb")) == ["b", "c"]
    none = settings.model_copy(update={"warehouse_previous": 0})
    make_build(settings, "a")
    publish(none)
    assert list(previous_folder(settings).iterdir()) == []


def test_a_disk_without_links_keeps_a_copy(published: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(swap.os, "link", no_links)
    before = hash_file(published.warehouse_file)
    make_build(published, "c")
    publish(published)
    assert hash_file(previous_folder(published) / "b.duckdb") == before


def test_a_reader_that_stays_sees_the_next_build(published: Settings) -> None:
    with PublishedReader(published) as reader:
        first = reader.connection()
        assert build_id(first) == "b"
        assert reader.connection() is first, "opened once while nothing changes"
        make_build(published, "c", 3)
        publish(published)
        assert build_id(first) == "b", "what is open stays what it was"
        assert build_id(reader.connection()) == "c"


def test_reading_needs_no_writer_and_writes_nothing(published: Settings) -> None:
    def files() -> set[Path]:
        return set(published.warehouse_file.parent.rglob("*"))

    with writer_lock(published):
        before = files()
        assert now_published(published) == "b"
        assert files() == before


def test_on_the_target_spark_no_stale_file_is_judged_published_or_put_back(judged: Settings) -> None:
    make_build(judged, "c", 3)
    spark = judged.model_copy(update={"dbt_target": "spark"})
    commands: list[Callable[[Settings], object]] = [
        publish,
        rollback,
        open_build,
        lambda given: list(repair(given, [])),
    ]
    for command in commands:
        with pytest.raises(UsageError, match=r"needs a build in a file.*C360_DBT_TARGET=duckdb"):
            command(spark)
    assert not judged.warehouse_file.exists()
    assert publish(judged).build_id == "c"
