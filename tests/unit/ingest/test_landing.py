"""Landing: every file ends in the manifest, loaded or refused with a reason; the good ones never wait for the bad."""

import fcntl
import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from expectations import contracts
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.hashing import hash_file
from jobs.core.settings import Settings
from jobs.ingest.landing.log import Received, encode, log_folder
from jobs.ingest.landing.manifest import Manifest
from jobs.ingest.landing.readers import Message
from jobs.ingest.landing.release import release
from jobs.ingest.landing.seal import seal_new_files, sealed_folder
from jobs.lake.delta import ensure_all, read

GOOD = b'{"messageId":"1"}\n{"messageId":"2"}\n'
HEADER = b"campaign_id,campaign_type,start_date,end_date\n"


@pytest.fixture
def context(settings: Settings) -> Context:
    ensure_all(settings)
    return Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "run-1")


def put(settings: Settings, name: str, data: bytes) -> Path:
    path = settings.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def manifest(settings: Settings) -> dict[str, str]:
    """`source/file` → reason, or `loaded:<rows>`."""
    rows = read(settings, "ops_landing_manifest").to_pylist()
    return {f"{r['source']}/{r['file_name']}": r["reason"] or f"loaded:{r['row_count']}" for r in rows}


def status(settings: Settings) -> dict[str, str]:
    """`source/file` → the last decision about it."""
    rows = sorted(read(settings, "ops_landing_manifest").to_pylist(), key=lambda r: r["file_number"])
    return {f"{r['source']}/{r['file_name']}": r["status"] for r in rows}


def sealed(settings: Settings) -> list[dict[str, object]]:
    tables = [pq.read_table(p).to_pylist() for p in sorted(sealed_folder(settings).glob("*.parquet"))]
    return [row for table in tables for row in table]


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "zero bytes": ("pos/a.ndjson", b"", "empty"),
    "blank lines": ("pos/a.ndjson", b"\n \n", "empty"),
    "only a byte order mark": ("pos/a.ndjson", b"\xef\xbb\xbf", "empty"),
    "truncated gzip": ("pos/a.ndjson.gz", gzip.compress(GOOD * 1000)[:40], "truncated"),
    "gzip with a wrong checksum": ("pos/a.ndjson.gz", gzip.compress(GOOD)[:-8] + b"\x00" * 8, "truncated"),
    "binary": ("pos/a.ndjson", b"\x7fELF\x00\x01\x02{", "wrong_format"),
    "a picture, without NUL": ("pos/a.ndjson", b"\xff\xd8\xff\xe0JFIF", "wrong_format"),
    "JSON array": ("pos/a.ndjson", b'[{"messageId":"1"}]', "wrong_format"),
    "broken header": ("crm_campaigns/a.csv", b"campaign_id;campaign_type\n1;A\n", "wrong_header"),
    "unknown source": ("nobody/a.ndjson", GOOD, "unknown_source"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_and_the_others_load(case: str, context: Context) -> None:
    name, data, reason = BAD_FILES[case]
    put(context.settings, name, data)
    put(context.settings, "pos/good.ndjson", GOOD)
    landed = seal_new_files(context)
    assert (landed.loaded, landed.rejected, landed.messages) == (1, 1, 2)
    assert manifest(context.settings) == {name: reason, "pos/good.ndjson": "loaded:2"}
    assert name in landed.refusals[0]


def test_a_symlink_is_never_followed(context: Context, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(GOOD)
    (context.settings.landing / "pos").mkdir(parents=True)
    (context.settings.landing / "pos" / "link.ndjson").symlink_to(secret)
    assert seal_new_files(context).rejected == 1
    assert manifest(context.settings) == {"pos/link.ndjson": "not_regular"}


def test_known_by_content_not_by_time(context: Context) -> None:
    path = put(context.settings, "pos/a.ndjson", GOOD)
    os.utime(path, (0, 0))  # back-dated: Spark's own file source would never read it beside newer files
    assert seal_new_files(context).loaded == 1
    assert seal_new_files(context).loaded == 0
    put(context.settings, "pos/copy.ndjson", GOOD)
    put(context.settings, "pos/a.ndjson", GOOD + b'{"messageId":"3"}\n')
    assert seal_new_files(context).rejected == 1
    rows = read(context.settings, "ops_landing_manifest").to_pylist()
    assert sorted((r["file_name"], r["status"], r["reason"]) for r in rows) == [
        ("a.ndjson", "loaded", None),
        ("a.ndjson", "rejected", "name_reused"),
        ("copy.ndjson", "repeated", None),
    ]
    assert seal_new_files(context).rejected == 0


def test_without_the_manifest_check_a_grown_file_would_be_loaded_again(
    context: Context, make_settings: Callable[..., Settings]
) -> None:
    """The sabotage that `test_known_by_content_not_by_time` must catch: it does, for this is what would happen."""
    off = make_settings(context.settings.home, testing=True, sabotage="no_manifest_check")
    put(context.settings, "pos/a.ndjson", GOOD)
    seal_new_files(context)
    put(context.settings, "pos/a.ndjson", GOOD + b'{"messageId":"3"}\n')
    assert seal_new_files(Context(off, context.clock, "run-2")).messages == 3


def test_the_same_bytes_twice_in_one_run_are_loaded_once(context: Context) -> None:
    put(context.settings, "pos/a.ndjson", GOOD)
    put(context.settings, "pos/b.ndjson", GOOD)
    assert seal_new_files(context).messages == 2
    assert status(context.settings) == {"pos/a.ndjson": "loaded", "pos/b.ndjson": "repeated"}


def test_an_unchanged_file_is_not_hashed_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context.settings, "pos/a.ndjson", GOOD)
    seal_new_files(context)

    def never(path: Path) -> str:
        raise AssertionError(path)

    monkeypatch.setattr("jobs.ingest.landing.seal.hash_file", never)
    assert seal_new_files(context).loaded == 0


def test_unfinished_files_wait(context: Context) -> None:
    put(context.settings, "pos/.part.ndjson", GOOD)
    assert seal_new_files(context).messages == 0
    assert manifest(context.settings) == {}


def test_lines_keep_their_number_and_what_is_wrong_with_them(context: Context) -> None:
    lines = [b'{"messageId":"1"}', b"", b'{"messageId":"\xff"}', b'"' + b"x" * 1_100_000 + b'"', b'{"messageId":"5"}']
    put(context.settings, "pos/a.ndjson", b"\xef\xbb\xbf" + b"\r\n".join(lines))
    seal_new_files(context)
    rows = [(r["line_number"], r["payload_error"]) for r in sealed(context.settings)]
    assert rows == [(1, None), (3, "invalid_encoding"), (4, "too_long"), (5, None)]
    assert sealed(context.settings)[0]["payload"] == '{"messageId":"1"}'


def test_csv_rows_become_objects_of_text(context: Context) -> None:
    put(context.settings, "crm_campaigns/a.csv", HEADER + b'1,"Type, ""A""",2017-03-03,\n2,B\n')
    seal_new_files(context)
    first, second = sealed(context.settings)
    assert (
        first["payload"]
        == '{"campaign_id":"1","campaign_type":"Type, \\"A\\"","start_date":"2017-03-03","end_date":null}'
    )
    assert (second["payload"], second["payload_error"]) == ('["2", "B"]', "wrong_width")


@pytest.mark.parametrize("place", ["record", "rename"])
def test_a_crash_while_sealing_neither_loses_nor_doubles(
    place: str, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(context.settings, "pos/a.ndjson", GOOD)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if place == "record":  # sealed bytes on disk, nothing recorded
            patch.setattr(Manifest, "record", killed)
        else:  # recorded, not yet visible to the stream
            patch.setattr("jobs.ingest.landing.seal.visible", killed)
        with pytest.raises(KeyboardInterrupt):
            seal_new_files(context)
    assert sealed(context.settings) == []
    put(context.settings, "catalog/new.csv", b"other file, takes the number if it is free")
    landed = seal_new_files(context)
    assert landed.messages == (2 if place == "record" else 0)
    assert len(sealed(context.settings)) == 2
    assert manifest(context.settings)["pos/a.ndjson"] == "loaded:2"


def test_small_files_share_a_sealed_file_and_a_commit(context: Context) -> None:
    for number in range(30):
        put(context.settings, f"pos/{number:02d}.ndjson", b'{"messageId":"%d"}\n' % number)
    put(context.settings, "pos/05b.ndjson.gz", gzip.compress(GOOD * 50_000)[:-20])  # breaks off after 100,000 lines
    landed = seal_new_files(context)
    assert (landed.loaded, landed.rejected, landed.messages) == (30, 1, 30)
    assert len(list(sealed_folder(context.settings).iterdir())) == 1
    assert len({r["file_number"] for r in sealed(context.settings)}) == 30


def test_a_file_that_outgrows_memory_has_a_sealed_file_of_its_own(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.ingest.landing.sealed.MEMORY_BYTES", 1_000)
    monkeypatch.setattr("jobs.ingest.landing.sealed.BATCH_ROWS", 50)
    put(context.settings, "pos/a.ndjson", b'{"messageId":"1"}\n')
    put(context.settings, "pos/b.ndjson", GOOD * 500)
    put(context.settings, "pos/c.ndjson.gz", gzip.compress(os.urandom(20_000).hex().encode() + b"{" + GOOD * 500)[:-9])
    put(context.settings, "pos/d.ndjson", b'{"messageId":"4"}\n')
    landed = seal_new_files(context)
    assert (landed.loaded, landed.rejected, landed.messages) == (3, 1, 1_002)
    rows = sealed(context.settings)
    assert sorted({r["file_name"]: r["file_number"] for r in rows}.items()) == [
        ("a.ndjson", 1), ("b.ndjson", 2), ("d.ndjson", 4),
    ]  # fmt: skip
    assert len(rows) == 1_002


def test_a_refused_file_can_be_sent_again(context: Context) -> None:
    put(context.settings, "pos/a.ndjson.gz", gzip.compress(GOOD * 1000)[:40])
    assert seal_new_files(context).rejected == 1
    put(context.settings, "pos/a.ndjson.gz", gzip.compress(GOOD))
    assert seal_new_files(context).loaded == 1


def test_a_refusal_can_be_looked_at_again(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context.settings, "crm_campaigns/a.csv", b"campaign_id;campaign_type\n1;A\n")
    assert seal_new_files(context).rejected == 1
    assert seal_new_files(context).rejected == 0
    assert seal_new_files(context, retry_refused=True).rejected == 1
    # as if the contract had been mended
    monkeypatch.setattr("jobs.ingest.landing.seal.check_file", lambda *_: None)
    monkeypatch.setattr("jobs.ingest.landing.seal.inspect_file", lambda *_, **__: None)
    monkeypatch.setattr("jobs.ingest.landing.seal.read_messages", lambda *_: iter([Message(2, "{}")]))
    assert seal_new_files(context, retry_refused=True).loaded == 1
    assert seal_new_files(context, retry_refused=True).loaded == 0


def test_an_unreadable_file_does_not_stop_the_others(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context.settings, "pos/a.ndjson", GOOD)
    put(context.settings, "pos/b.ndjson", GOOD + GOOD)

    def broken_disk(path: Path) -> str:
        if path.name == "a.ndjson":
            raise PermissionError(13, "no")
        return hash_file(path)

    with monkeypatch.context() as patch:
        patch.setattr("jobs.ingest.landing.seal.hash_file", broken_disk)
        assert (seal_new_files(context).loaded, status(context.settings)["pos/a.ndjson"]) == (1, "waiting")
        assert seal_new_files(context).rejected == 0  # said once
    assert seal_new_files(context).loaded == 1  # readable again: nothing was held against it


def test_an_unclosed_quote_loses_no_text(context: Context) -> None:
    put(context.settings, "crm_campaigns/a.csv", HEADER + b'1,A,x,y\n2,"B,x,y\n3,C,x,y\n')
    seal_new_files(context)
    rows = sealed(context.settings)
    assert [r["payload_error"] for r in rows] == [None, "wrong_width"]
    assert "3,C,x,y" in str(rows[1]["payload"])


def test_a_quote_that_swallows_a_file_holds_the_whole_file_back(context: Context) -> None:
    put(context.settings, "crm_campaigns/a.csv", HEADER + b'1,A,x,y\n2,"B,x,y\n' + b"3,C,x,y\n" * 200_000)
    assert "row that ends on line" in seal_new_files(context).refusals[0]
    assert sealed(context.settings) == []


def test_segments_of_the_log_are_loaded_and_removed(context: Context) -> None:
    folder = log_folder(context.settings)
    folder.mkdir()
    received = Received(
        "sim_web", 1_514_851_200_000_000, "track", {"receipt_id": "r1", "gpc": True}, '{"messageId":"1"}'
    )
    whole = encode(received)
    (folder / "0001.log").write_bytes(whole + whole[:40])
    (folder / "0002.open").write_bytes(whole)  # its writer is gone
    held = (folder / "0003.open").open("wb")
    fcntl.flock(held, fcntl.LOCK_EX)
    landed = seal_new_files(context)
    assert (landed.loaded, landed.messages) == (2, 3)
    assert [p.name for p in folder.iterdir()] == ["0003.open"]
    rows = [(r["source"], r["endpoint"], r["payload_error"], r["payload"]) for r in sealed(context.settings)]
    message = ("sim_web", "track", None, '{"messageId":"1"}')
    assert rows == [message, ("landing_log", None, "truncated", whole[:40].decode()), message]
    held.close()


def test_a_released_file_is_loaded(context: Context) -> None:
    names = contracts.sources()["sim_crm_people"].columns
    header = ",".join(names).encode() + b"\n"
    rows = b"".join(b"%d,7,,Ann,Lee,+1555010%04d,ann%d@example.com,,,\n" % (n, n, n) for n in range(30))
    put(context.settings, "sim_crm_people/swapped.csv", header + rows)
    assert seal_new_files(context).rejected == 1
    assert status(context.settings)["sim_crm_people/swapped.csv"] == "held"
    assert seal_new_files(context, retry_refused=True).rejected == 0
    number = release(context, "sim_crm_people", "swapped.csv", why="their columns are named wrongly")
    assert number == 2
    assert seal_new_files(context).loaded == 1
