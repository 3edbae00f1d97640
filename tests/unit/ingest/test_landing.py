"""Landing: every file ends in the manifest, loaded or refused with a reason; the good ones never wait for the bad."""

import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
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


def sealed(settings: Settings) -> list[dict[str, object]]:
    tables = [pq.read_table(p).to_pylist() for p in sorted(sealed_folder(settings).glob("*.parquet"))]
    return [row for table in tables for row in table]


BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    "zero bytes": ("pos/a.ndjson", b"", "empty_file"),
    "blank lines": ("pos/a.ndjson", b"\n \n", "empty_file"),
    "only a byte order mark": ("pos/a.ndjson", b"\xef\xbb\xbf", "empty_file"),
    "truncated gzip": ("pos/a.ndjson.gz", gzip.compress(GOOD * 1000)[:40], "truncated_gzip"),
    "gzip with a wrong checksum": ("pos/a.ndjson.gz", gzip.compress(GOOD)[:-8] + b"\x00" * 8, "truncated_gzip"),
    "binary": ("pos/a.ndjson", b"\x7fELF\x00\x01\x02{", "not_text"),
    "a picture, without NUL": ("pos/a.ndjson", b"\xff\xd8\xff\xe0JFIF", "not_text"),
    "JSON array": ("pos/a.ndjson", b'[{"messageId":"1"}]', "not_ndjson"),
    "swapped columns": (
        "crm_campaigns/a.csv",
        b"campaign_type,campaign_id,start_date,end_date\nA,1,x,y\n",
        "columns_reordered",
    ),
    "broken header": ("crm_campaigns/a.csv", b"campaign_id;campaign_type\n1;A\n", "header_mismatch"),
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
    assert seal_new_files(context).rejected == 2
    reasons = [r["reason"] for r in read(context.settings, "ops_landing_manifest").to_pylist() if r["reason"]]
    assert sorted(reasons) == ["name_reused", "repeated_file"]
    assert seal_new_files(context).rejected == 0


def test_unfinished_files_wait(context: Context) -> None:
    put(context.settings, "pos/.part.ndjson", GOOD)
    assert seal_new_files(context).messages == 0
    assert manifest(context.settings) == {}


def test_lines_keep_their_number_and_what_is_wrong_with_them(context: Context) -> None:
    lines = [b'{"messageId":"1"}', b"", b'{"messageId":"\xff"}', b'"' + b"x" * 1_100_000 + b'"', b'{"messageId":"5"}']
    put(context.settings, "pos/a.ndjson", b"\xef\xbb\xbf" + b"\r\n".join(lines))
    seal_new_files(context)
    rows = [(r["line_number"], r["payload_error"]) for r in sealed(context.settings)]
    assert rows == [(1, None), (3, "invalid_encoding"), (4, "line_too_long"), (5, None)]
    assert sealed(context.settings)[0]["payload"] == '{"messageId":"1"}'


def test_csv_rows_become_objects_of_text(context: Context) -> None:
    put(context.settings, "crm_campaigns/a.csv", HEADER + b'1,"Type, ""A""",2017-03-03,\n2,B\n')
    seal_new_files(context)
    first, second = sealed(context.settings)
    assert (
        first["payload"]
        == '{"campaign_id":"1","campaign_type":"Type, \\"A\\"","start_date":"2017-03-03","end_date":null}'
    )
    assert (second["payload"], second["payload_error"]) == ('["2", "B"]', "csv_field_count")


def test_a_crash_after_sealing_repeats_to_the_same(
    context: Context, monkeypatch: pytest.MonkeyPatch, make_settings: Callable[..., Settings]
) -> None:
    from jobs.ingest import landing

    put(context.settings, "pos/a.ndjson", GOOD)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(landing, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            seal_new_files(context)
    assert seal_new_files(context).messages == 2
    assert [r["file_number"] for r in sealed(context.settings)] == [1, 1]


def test_what_a_crash_left_sealed_is_not_loaded_beside_its_repeat(context: Context) -> None:
    folder = sealed_folder(context.settings)
    folder.mkdir()
    (folder / "00000001.parquet").write_bytes(b"sealed, never recorded")
    (folder / ".00000002.partial").write_bytes(b"half")
    put(context.settings, "pos/a.ndjson", b"")
    assert seal_new_files(context).rejected == 1
    assert list(folder.iterdir()) == []


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
    monkeypatch.setattr("jobs.ingest.landing.seal.check_file", lambda *_: None)  # as if the contract had been mended
    assert seal_new_files(context, retry_refused=True).loaded == 1
    assert seal_new_files(context, retry_refused=True).loaded == 0


def test_an_unreadable_file_does_not_stop_the_others(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.ingest import landing

    put(context.settings, "pos/a.ndjson", GOOD)
    put(context.settings, "pos/b.ndjson", GOOD + GOOD)
    real = landing.hash_file

    def broken_disk(path: Path) -> str:
        if path.name == "a.ndjson":
            raise PermissionError("no")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(landing, "hash_file", broken_disk)
        assert (seal_new_files(context).loaded, manifest(context.settings)["pos/a.ndjson"]) == (1, "unreadable")
    assert seal_new_files(context).loaded == 1  # readable again: nothing was held against it


def test_an_unclosed_quote_loses_no_text(context: Context) -> None:
    put(context.settings, "crm_campaigns/a.csv", HEADER + b'1,A,x,y\n2,"B,x,y\n3,C,x,y\n')
    seal_new_files(context)
    rows = sealed(context.settings)
    assert [r["payload_error"] for r in rows] == [None, "csv_field_count"]
    assert "3,C,x,y" in str(rows[1]["payload"])
