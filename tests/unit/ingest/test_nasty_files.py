"""The nastiest files that partners deliver: each is accounted for, no good row is lost, and the others load."""

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations import contracts
from expectations.contracts import FieldContract, SourceContract
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.ingest.landing.readers import as_text
from jobs.ingest.landing.seal import seal_new_files, sealed_folder
from jobs.lake.delta import ensure_table, read

ROW = b'{"messageId":"1"}'
GOOD = ROW + b"\n"
SHOPS = SourceContract(
    name="shops", kind="records", format="csv", description="Shops.", object="shop", key=("shop_id",),
    columns={"shop_id": FieldContract(required=True), "city": FieldContract(), "opened": FieldContract(type="date")},
)  # fmt: skip
HEAD = b"shop_id,city,opened\n"


@pytest.fixture
def context(settings: Settings) -> Context:
    ensure_table(settings, "ops_landing_manifest")
    return Context(settings, Clock(datetime(2018, 1, 2, tzinfo=UTC)), "run-1")


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Declares the source `shops` with changes."""

    def declared(**changes: object) -> None:
        known = contracts.sources() | {"shops": SHOPS.model_copy(update=changes)}
        monkeypatch.setattr(contracts, "sources", lambda: known)

    declared()
    return declared


def put(context: Context, name: str, data: bytes) -> Path:
    path = context.settings.landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def decisions(context: Context) -> dict[str, tuple[str, str | None]]:
    """File name → (status, reason) of its last decision."""
    rows = sorted(read(context.settings, "ops_landing_manifest").to_pylist(), key=lambda row: row["file_number"])
    return {row["file_name"]: (row["status"], row["reason"]) for row in rows}


def rows_of(context: Context) -> list[dict[str, object]]:
    tables = [pq.read_table(p).to_pylist() for p in sorted(sealed_folder(context.settings).glob("*.parquet"))]
    return [row for table in tables for row in table]


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("../../slip.json", "{}")
    return out.getvalue()


def parquet(**columns: list[object]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


REFUSED = {
    "a truncated gzip": ("pos/a.gz", gzip.compress(GOOD * 9_999)[:99], "truncated"),
    "a gzip that breaks off late": (
        "pos/a.gz",
        gzip.compress(GOOD + os.urandom(99_999).hex().encode())[:-9],
        "truncated",
    ),
    "nothing but a newline": ("pos/a.ndjson", b"\n", "empty"),
    "nothing but a byte order mark": ("pos/a.ndjson", b"\xef\xbb\xbf", "empty"),
    "a zip with a path that climbs": ("pos/a.json", zipped(), "wrong_format"),
    "a PDF called JSON": ("pos/a.json", b"%PDF-1.7 {", "wrong_format"),
    "an HTML error page": ("pos/a.json", b"<!doctype html><html>{}</html>", "wrong_format"),
    "CSV called JSON": ("pos/a.json", b"a,b\n1,2\n", "wrong_format"),
    "a JSON array": ("pos/a.json", b"[" + ROW + b"]", "wrong_format"),
    "UTF-16 not declared": ("shops/a.csv", HEAD.decode().encode("utf-16"), "invalid_encoding"),
    "Excel's first line": ("shops/a.csv", b"sep=;\n" + HEAD + b"1,x,\n", "wrong_header"),
    "semicolons not declared": ("shops/a.csv", HEAD.replace(b",", b";") + b"1;x;\n", "wrong_header"),
    "a column twice": ("shops/a.csv", b"shop_id,city,City\n1,x,y\n", "wrong_header"),
    "a column without a name": ("shops/a.csv", b"shop_id,city,opened,\n1,x,,\n", "wrong_header"),
    "600 columns": ("shops/a.csv", b",".join(b"c%d" % n for n in range(600)) + b"\n1\n", "wrong_header"),
    "a header of 1 MB": ("shops/a.csv", b"x" * 1_000_000 + b"\n1\n", "wrong_header"),
    "a header and no rows": ("shops/a.csv", HEAD, "empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_its_reason_and_the_good_file_loads(
    case: str, context: Context, declare: Callable[..., None]
) -> None:
    name, data, reason = REFUSED[case]
    put(context, name, data)
    put(context, "pos/good.ndjson", GOOD)
    seal_new_files(context)
    assert decisions(context) == {Path(name).name: ("rejected", reason), "good.ndjson": ("loaded", None)}
    assert len(rows_of(context)) == 1


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_end_of_line_ends_a_line(ends: bytes, last: bool, context: Context) -> None:
    put(context, "pos/a.ndjson", ends.join([ROW, ROW, ROW]) + (ends if last else b""))
    assert seal_new_files(context).messages == 3
    assert {row["payload_error"] for row in rows_of(context)} == {None}


def test_mixed_ends_of_lines(context: Context) -> None:
    put(context, "pos/a.ndjson", ROW + b"\r\n" + ROW + b"\n" + ROW + b"\r" + ROW)
    assert seal_new_files(context).messages == 4


def test_a_line_without_end_is_set_aside_with_its_hash_and_the_rest_goes_on(context: Context) -> None:
    put(context, "pos/a.ndjson", GOOD + b'{"a":"' + b"x" * 3_000_000 + b'"}\n' + GOOD)
    seal_new_files(context)
    first, long, last = rows_of(context)
    assert (first["payload_error"], long["payload_error"], last["payload_error"]) == (None, "too_long", None)
    assert '"bytes": 3000009' in str(long["receipt"])


def test_a_file_that_is_being_written_waits_and_is_then_loaded_whole(context: Context) -> None:
    path = put(context, "pos/a.ndjson", GOOD)
    with path.open("ab") as writer:
        seal_new_files(context)
        assert decisions(context) == {"a.ndjson": ("waiting", None)}
        writer.write(GOOD)
    assert seal_new_files(context).messages == 2


def test_a_file_waits_for_its_marker_where_the_contract_says_so(context: Context, declare: Callable[..., None]) -> None:
    declare(ready="marker")
    put(context, "shops/a.csv", HEAD + b"1,x,\n")
    seal_new_files(context)
    assert decisions(context) == {"a.csv": ("waiting", None)}
    put(context, "shops/a.csv.done", b"")
    assert seal_new_files(context).messages == 1


@pytest.mark.parametrize(
    "name", ["-rf.ndjson", "_hidden.ndjson", "a\nb.ndjson", "%2e%2e.ndjson", "😀.ndjson", "x" * 255]
)
def test_a_name_is_only_a_name(name: str, context: Context) -> None:
    put(context, f"pos/{name}", GOOD)
    assert seal_new_files(context).messages == 1
    assert [p.name for p in sealed_folder(context.settings).iterdir()] == ["00000001.parquet"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_no_file_is_never_opened(kind: str, context: Context, tmp_path: Path) -> None:
    path = context.settings.landing / "pos" / "a.ndjson"
    path.parent.mkdir(parents=True)
    {"symlink": lambda: path.symlink_to("/etc/passwd"), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    seal_new_files(context)
    assert decisions(context) == {"a.ndjson": ("rejected", "not_regular")}


@pytest.mark.parametrize("when", [0, 4_070_908_800])
def test_the_time_of_a_file_says_nothing(when: int, context: Context) -> None:
    os.utime(put(context, "pos/a.ndjson", GOOD), (when, when))
    assert seal_new_files(context).messages == 1


def test_a_file_that_is_gone_when_it_is_read_is_reported(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    put(context, "pos/a.ndjson", GOOD)
    put(context, "pos/b.ndjson", ROW)

    def gone(path: Path) -> str:
        path.unlink()
        raise FileNotFoundError(path)

    with monkeypatch.context() as patch:
        patch.setattr("jobs.ingest.landing.seal.hash_file", gone)
        seal_new_files(context)
    assert decisions(context) == {"a.ndjson": ("vanished", None), "b.ndjson": ("vanished", None)}


def test_columns_are_found_by_name(context: Context, declare: Callable[..., None]) -> None:
    put(context, "shops/a.csv", b"city,opened,shop_id\nBonn,,1\n")
    seal_new_files(context)
    assert rows_of(context)[0]["payload"] == '{"shop_id":"1","city":"Bonn","opened":null}'


def test_declared_dialects_are_read(context: Context, declare: Callable[..., None]) -> None:
    for encoding, delimiter in (("cp1252", ";"), ("utf-16", "\t"), ("shift_jis", "|")):
        declare(encoding=encoding, delimiter=delimiter)
        city = "東京" if encoding == "shift_jis" else "Köln"
        text = f"shop_id,city,opened\n1,{city},\n".replace(",", delimiter)
        put(context, f"shops/{encoding}.csv", text.encode(encoding))
        seal_new_files(context)
    found = [str(row["payload"]) for row in rows_of(context)]
    assert [text.count(city) for text, city in zip(found, ("Köln", "Köln", "東京"), strict=True)] == [1, 1, 1]


def test_a_byte_of_another_encoding_sets_its_row_aside(context: Context, declare: Callable[..., None]) -> None:
    put(context, "shops/a.csv", HEAD + b"1,K\xf6ln,\n2,Bonn,\n")
    put(context, "pos/a.ndjson", b'{"a":"\xff"}\n' + GOOD)
    seal_new_files(context)
    errors = {(row["source"], row["line_number"]): row["payload_error"] for row in rows_of(context)}
    assert errors == {
        ("shops", 2): "invalid_encoding", ("shops", 3): None, ("pos", 1): "invalid_encoding", ("pos", 2): None
    }  # fmt: skip


def test_formulas_are_text(context: Context, declare: Callable[..., None]) -> None:
    put(context, "shops/a.csv", HEAD + b"1,=HYPERLINK(1),\n2,@SUM(A1),\n3,-1,\n")
    seal_new_files(context)
    assert '"=HYPERLINK(1)"' in str(rows_of(context)[0]["payload"])


def test_parquet_rows_are_messages_like_others(context: Context, declare: Callable[..., None]) -> None:
    declare(format="parquet")
    data = parquet(shop_id=["1", "2"], city=["Bonn", None], opened=[date(2017, 1, 1), None])
    put(context, "shops/a.parquet", data)
    put(context, "shops/cut.parquet", data[:-20])
    put(context, "shops/text.parquet", HEAD)
    put(context, "shops/nan.parquet", parquet(shop_id=["3"], city=[float("nan")], opened=[None]))
    seal_new_files(context)
    assert decisions(context) == {
        "a.parquet": ("loaded", None), "cut.parquet": ("rejected", "truncated"),
        "text.parquet": ("rejected", "wrong_format"), "nan.parquet": ("loaded", None),
    }  # fmt: skip
    assert [(row["payload"], row["payload_error"]) for row in rows_of(context)] == [
        ('{"shop_id":"1","city":"Bonn","opened":"2017-01-01"}', None),
        ('{"shop_id":"2","city":null,"opened":null}', None),
        ('{"shop_id":"3","city":NaN,"opened":null}', "bad_number"),
    ]


def test_a_card_number_in_a_note_holds_the_file(context: Context, declare: Callable[..., None]) -> None:
    put(context, "shops/a.csv", HEAD + b"1,pays with 4111 1111 1111 1111,\n" + b"2,Bonn,\n" * 30)
    seal_new_files(context)
    assert decisions(context) == {"a.csv": ("held", "sensitive_data")}
    assert rows_of(context) == []


def test_undeclared_addresses_hold_the_first_file_of_a_source(context: Context, declare: Callable[..., None]) -> None:
    rows = b"".join(b"%d,ann%d@example.com,\n" % (n, n) for n in range(30))
    put(context, "shops/a.csv", HEAD + rows)
    seal_new_files(context)
    assert decisions(context) == {"a.csv": ("held", "undeclared_pii")}


def test_hundreds_of_tiny_files_take_few_commits(context: Context) -> None:
    for number in range(450):
        put(context, f"pos/{number:03d}.ndjson", b'{"messageId":"%d"}' % number)
    before = ensure_table(context.settings, "ops_landing_manifest").version()
    assert seal_new_files(context).messages == 450
    assert ensure_table(context.settings, "ops_landing_manifest").version() - before == 3


def test_bytes_are_kept_exactly(context: Context) -> None:
    assert as_text(b"\xff\x00") == "base64:/wA="
    assert as_text("Köln".encode()) == "Köln"
