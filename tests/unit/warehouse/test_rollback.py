"""Going back to an earlier build: once, by name, after a crash; and what can no longer be gone back to."""

import pytest
from publishdrill.builds import make_build
from test_publish import now_published

from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings
from jobs.warehouse import swap
from jobs.warehouse.paths import previous_folder
from jobs.warehouse.publish import publish
from jobs.warehouse.rollback import rollback


class CrashError(Exception):
    """Where a process ends."""


def test_it_goes_back_once_and_forward_by_name(published: Settings) -> None:
    done = rollback(published)
    assert (done.build_id, done.withdrawn) == ("a", "b")
    assert now_published(published) == "a"
    assert rollback(published) == done, "run again, it changes nothing"
    assert [path.stem for path in previous_folder(published).glob("*.duckdb")] == ["b"]
    assert rollback(published, "b").build_id == "b"
    assert now_published(published) == "b"


def test_the_next_build_is_published_after_a_rollback(published: Settings) -> None:
    rollback(published)
    assert publish(published).build_id == "a", "there is no build that could come back by itself"
    make_build(published, "c", 3)
    publish(published)
    assert now_published(published) == "c"
    assert rollback(published).build_id == "a"


@pytest.mark.parametrize("where", ["write", "_finish", "prune"])
def test_a_rollback_that_was_broken_off_is_finished_by_the_next(
    published: Settings, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise CrashError

    monkeypatch.setattr(swap, where, crash)
    with pytest.raises(CrashError):
        rollback(published)
    monkeypatch.undo()
    assert rollback(published).build_id == "a"
    assert now_published(published) == "a"
    assert [path.name for path in sorted(previous_folder(published).iterdir())] == ["b.duckdb", "b.json"]


def test_what_is_not_kept_or_not_whole_is_refused(published: Settings) -> None:
    with pytest.raises(UsageError, match="no build z is kept; kept: a"):
        rollback(published, "z")
    kept = previous_folder(published) / "a.duckdb"
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(PermanentError, match="damaged"):
        rollback(published)
    assert now_published(published) == "b"
    kept.unlink()
    with pytest.raises(PermanentError, match="no earlier build is kept"):
        rollback(published)


def test_a_damaged_published_file_is_not_kept(published: Settings) -> None:
    content = bytearray(published.warehouse_file.read_bytes())
    content[len(content) // 2] ^= 1
    published.warehouse_file.write_bytes(content)
    assert rollback(published).build_id == "a"
    assert list(previous_folder(published).glob("*.duckdb")) == []
