"""The landing log: framing that survives a cut anywhere, and a writer whose returned call means bytes on disk."""

import errno
import fcntl
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.core.clock import Clock
from jobs.core.settings import Settings
from jobs.ingest.landing.files import log_segments
from jobs.ingest.landing.log import Received, Torn, decode, encode, log_folder, read_segment
from jobs.ingest.landing.log_writer import Disk, LandingLogWriter
from jobs.ingest.landing.readers import read_log

ANY_TEXT = st.text(st.characters(), max_size=200)  # lone surrogates, NUL and line ends among them


def message(number: int, text: str = "") -> Received:
    return Received(
        "sim_web", 1_514_851_200_000_000 + number, "track", {"receipt_id": f"r{number}"}, text or f'{{"n":{number}}}'
    )


@given(ANY_TEXT, st.one_of(st.none(), ANY_TEXT), st.dictionaries(ANY_TEXT, st.one_of(ANY_TEXT, st.booleans())))
def test_what_is_written_is_read(payload: str, error: str | None, receipt: dict[str, object]) -> None:
    sent = Received("sim_web", 1, None, receipt, payload, error)
    line = encode(sent)
    assert line.count(b"\n") == 1
    assert decode(line) == sent


def test_the_frame_is_a_checksum_and_an_array() -> None:
    line = encode(message(1, "ä\n"))
    assert json.loads(line[9:]) == ["sim_web", 1_514_851_200_000_001, "track", {"receipt_id": "r1"}, "ä\n", None]
    assert int(line[:8], 16)


def test_a_cut_at_each_of_the_last_4096_bytes(tmp_path: Path) -> None:
    """Every whole record is returned, and what is left of the one that was cut is one torn tail."""
    lines = [encode(message(number, "x" * (number * 37 % 500))) for number in range(14)]
    records = [decode(line) for line in lines]
    whole, path = b"".join(lines), tmp_path / "a.log"
    assert len(whole) > 4096
    path.write_bytes(whole)
    passed = 0
    for cut in reversed(range(len(whole) - 4096, len(whole))):
        os.truncate(path, cut)
        ends, size = 0, 0
        while size + len(lines[ends]) <= cut:
            size += len(lines[ends])
            ends += 1
        found = [item for _, item in read_segment(path)]
        torn = [item for item in found if isinstance(item, Torn)]
        assert found[:ends] == records[:ends]
        assert torn == ([Torn(whole[size:cut])] if cut > size else [])
        assert len(found) == ends + len(torn)
        passed += 1
    assert passed == 4096


def test_a_flipped_byte_tears_its_line_only(tmp_path: Path) -> None:
    lines = [encode(message(number)) for number in range(3)]
    damaged = bytearray(lines[1])
    damaged[20] ^= 1
    path = tmp_path / "a.log"
    path.write_bytes(lines[0] + damaged + lines[2])
    assert [isinstance(item, Torn) for _, item in read_segment(path)] == [False, True, False]


@pytest.mark.parametrize(
    ("text", "before", "error"),
    [
        ('{"a":1,"a":2}', None, "duplicate_key"),
        ('{"a":NaN}', None, "bad_number"),
        ('{"a":', None, "malformed_json"),
        ('{"a":', "truncated", "truncated"),
        ('{"a":1}', None, None),
    ],
)
def test_the_sealer_judges_the_texts_that_the_door_only_took_apart(
    tmp_path: Path, text: str, before: str | None, error: str | None
) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(encode(Received("sim_web", 1, None, {}, text, before)))
    assert [(found.payload, found.error) for found in read_log(path)] == [(text, error)]


# ---- the writer


@pytest.fixture
def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"collector_rotate_bytes": 300, "collector_rotate_seconds": 3600.0})


def names(settings: Settings) -> list[str]:
    return sorted(path.suffix for path in log_folder(settings).iterdir())


def written(settings: Settings) -> list[Received | Torn]:
    return [item for path in sorted(log_folder(settings).iterdir()) for _, item in read_segment(path)]


def clock() -> Clock:
    return Clock(datetime(2018, 1, 2, tzinfo=UTC))


def test_a_segment_is_locked_private_and_sealed_by_rename(small: Settings) -> None:
    writer = LandingLogWriter(small, clock())
    assert not writer.is_open
    writer.append([encode(message(1))])
    (path,) = log_folder(small).iterdir()
    assert path.suffix == ".open"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with path.open("rb") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert list(log_segments(small)) == []  # the sealer does not take it from its writer
    assert not writer.is_due
    writer.append([encode(message(n)) for n in range(2, 6)])
    assert writer.is_due
    writer.rotate()
    assert names(small) == [".log"]
    writer.append([encode(message(9))])
    writer.rotate()
    assert [item.payload for item in written(small) if isinstance(item, Received)] == [
        f'{{"n":{n}}}' for n in (1, 2, 3, 4, 5, 9)
    ]


def test_rotation_by_age(settings: Settings) -> None:
    writer = LandingLogWriter(settings.model_copy(update={"collector_rotate_seconds": 1e-6}), clock())
    writer.append([encode(message(1))])
    assert writer.is_due


def test_an_orphan_is_sealed_by_the_reader(small: Settings) -> None:
    writer = LandingLogWriter(small, clock())
    writer.append([encode(message(1))])
    assert writer._segment is not None
    os.close(writer._segment.descriptor)  # as the end of its process does
    assert [path.suffix for _, path in log_segments(small)] == [".log"]


class FullDisk(Disk):
    """Takes `room` bytes in all; then every write stops part way, as a full disk does."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, data: bytes) -> None:
        super().write(descriptor, data[: self.room])
        taken, self.room = min(len(data), self.room), max(0, self.room - len(data))
        if taken < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class BrokenSync(Disk):
    """Cannot sync files, or folders."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.is_broken = True

    def sync(self, descriptor: int) -> None:
        if self.is_broken and self.what == "file":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        if self.is_broken and self.what == "folder":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync_folder(path)


def test_a_full_disk_leaves_whole_lines_only(small: Settings) -> None:
    lines = [encode(message(number)) for number in range(10)]
    disk = FullDisk(len(lines[0]) + len(lines[1]) + 10)
    writer = LandingLogWriter(small, clock(), disk=disk)
    writer.append(lines[:1])
    writer.append(lines[1:2])
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            writer.append(lines[2:4])
    disk.room = 10_000
    writer.append(lines[4:5])
    writer.rotate()
    assert written(small) == [decode(lines[0]), decode(lines[1]), decode(lines[4])]
    assert names(small) == [".log", ".log"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_bytes_that_cannot_be_synced_are_not_acknowledged_and_the_file_is_given_up(small: Settings, what: str) -> None:
    disk = BrokenSync(what)
    writer = LandingLogWriter(small, clock(), disk=disk)
    with pytest.raises(OSError, match="Input/output"):
        writer.append([encode(message(1))])
    assert written(small) == []
    disk.is_broken = False
    writer.append([encode(message(2))])
    assert written(small) == [message(2)]


def test_a_seal_that_fails_leaves_the_messages(small: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = LandingLogWriter(small, clock())
    writer.append([encode(message(1))])

    def refuse(_self: Path, _target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        writer.rotate()
    writer.append([encode(message(2))])
    writer.rotate()
    assert [path.suffix for _, path in log_segments(small)] == [".log", ".log"]
    assert written(small) == [message(1), message(2)]
