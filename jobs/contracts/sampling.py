"""Reads the first rows of a CSV, NDJSON or Parquet file as columns of text, the way the stream will judge them."""

import csv
import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.core.errors import PermanentError, UsageError
from jobs.core.settings import Settings

SAMPLE_ROWS = 1_000
HEAD_BYTES = 8 * 2**20
DELIMITERS = (",", ";", "\t", "|")
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
NOT_READ = {b"PK\x03\x04": "a zip archive", b"%PDF": "a PDF", b"<": "HTML or XML", b"[": "a JSON array"}
MESSAGE_TYPES = ("track", "identify", "page", "screen", "group", "alias")
MESSAGE_SHARE = 0.8
PLAIN_TYPES = {bool: "boolean", int: "integer", float: "number", str: "text", dict: "object", list: "array"}


@dataclass
class Sample:
    """The first rows of one file. `columns` holds a cell per row, None where it is empty or absent.

    `native` are the types that the file itself states (not in CSV), `dialect` what a contract must declare about it,
    `messages` the rows of a file of Segment messages, `notes` what the reader was unsure of.
    """

    format: str
    rows: int = 0
    columns: dict[str, list[str | None]] = field(default_factory=dict)
    native: dict[str, str] = field(default_factory=dict)
    dialect: dict[str, str] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_sample(settings: Settings, path: Path) -> Sample:
    """The first `SAMPLE_ROWS` rows. Raises PermanentError when the file is none that a source could deliver."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == b"PAR1":
        return _read_parquet(path)
    head = _head(path)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, what in NOT_READ.items():
        if start.startswith(mark):
            raise PermanentError(f"{path.name} looks like {what}; expected CSV, Parquet, or one JSON object per line")
    text, encoding, notes = _decoded(head)
    if "\x00" in text:
        raise PermanentError(
            f"{path.name} holds NUL bytes: binary content, or UTF-16 without its mark; expected text or Parquet"
        )
    if not text.strip():
        raise PermanentError(f"{path.name} is empty; a sample needs some rows")
    is_cut = len(head) == HEAD_BYTES
    text = text[: text.rindex("\n") + 1] if is_cut and "\n" in text else text
    sample = _read_lines(text) if text.lstrip().startswith("{") else _read_csv(settings, path.name, text)
    sample.notes += notes
    if encoding != "utf-8":
        sample.dialect["encoding"] = encoding
    return sample


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        raise PermanentError(f"{path.name}: the gzip stream is truncated or damaged; take a whole file") from error


def _decoded(head: bytes) -> tuple[str, str, list[str]]:
    """(text, encoding to declare, notes). Bytes that are no UTF-8 are taken for Windows-1252, and that is said."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "ignore"), encoding, []
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            note = "the text is no UTF-8 and was taken for Windows-1252 (cp1252): look at letters with accents"
            return head.decode("cp1252", "replace"), "cp1252", [note]
    return head.decode("utf-8", "ignore"), "utf-8", []


def _read_lines(text: str) -> Sample:
    sample = Sample("ndjson")
    rows: list[dict[str, Any]] = []
    broken = 0
    for line in io.StringIO(text):
        if len(rows) == SAMPLE_ROWS:
            break
        try:
            row = json.loads(line) if line.strip() else None
        except ValueError:
            row = ()
        if isinstance(row, dict):
            rows.append(row)
        elif row is not None:
            broken += 1
    if broken:
        sample.notes.append(f"{broken} lines hold no JSON object; they would be quarantined")
    if not rows:
        raise PermanentError("no line holds a JSON object; expected CSV, Parquet, or one JSON object per line")
    if sum(_is_message(row) for row in rows) >= MESSAGE_SHARE * len(rows):
        sample.messages, sample.rows = [row for row in rows if _is_message(row)], len(rows)
    else:
        fill(sample, rows)
    return sample


def _is_message(row: Mapping[str, Any]) -> bool:
    return row.get("type") in MESSAGE_TYPES and ("messageId" in row or "timestamp" in row)


def fill(sample: Sample, rows: list[dict[str, Any]]) -> None:
    """Columns and native types from rows with values of any type; what is absent in a row is None there."""
    sample.rows = len(rows)
    kinds: dict[str, set[str]] = {}
    for number, row in enumerate(rows):
        for name, value in row.items():
            cells = sample.columns.setdefault(name, [None] * len(rows))
            cells[number] = as_text(value)
            if value is not None:
                kinds.setdefault(name, set()).add(PLAIN_TYPES.get(type(value), "text"))
    for name in sample.columns:
        found = kinds.get(name, {"text"})
        sample.native[name] = found.pop() if len(found) == 1 else "number" if found == {"integer", "number"} else "text"


def as_text(value: object) -> str | None:
    """A JSON value as the text that the stream judges; an empty text is absent."""
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _read_csv(settings: Settings, name: str, text: str) -> Sample:
    sample = Sample("csv")
    if text.lower().startswith("sep="):
        raise PermanentError(f"{name}: Excel's `sep=` line stands before the header; export without it")
    delimiter, quote = _dialect(settings, text)
    if delimiter not in DELIMITERS:
        raise PermanentError(
            f"{name}: delimiter {delimiter!r}; a source may use one of {', '.join(map(repr, DELIMITERS))}"
        )
    if quote not in ('"', "", "(empty)"):
        sample.notes.append(f"cells seem to be quoted with {quote}; only double quotes are read")
    if delimiter != ",":
        sample.dialect["delimiter"] = delimiter
    try:
        header, *rows = _first(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), SAMPLE_ROWS + 1)
    except csv.Error as error:
        raise PermanentError(f"{name}: no readable CSV: {error}") from error
    _check_header(name, header, rows)
    whole = [row for row in rows if len(row) == len(header)]
    if len(whole) < len(rows):
        sample.notes.append(f"{len(rows) - len(whole)} rows have another number of cells; they would be quarantined")
    if len(header) == 1:
        sample.notes.append(f"only one column was found; the delimiter was taken for {delimiter!r}")
    sample.rows = len(whole)
    sample.columns = {column: [row[place] or None for row in whole] for place, column in enumerate(header)}
    return sample


def _first(rows: Iterable[list[str]], count: int) -> list[list[str]]:
    found: list[list[str]] = []
    for row in rows:
        if row:
            found.append(row)
        if len(found) == count:
            break
    return found


def _dialect(settings: Settings, text: str) -> tuple[str, str]:
    """(delimiter, quote); the copy that is sniffed is UTF-8 and gone at once. A comma where nothing can be told."""
    from jobs.lake.duck import csv_dialect

    settings.home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        copy = Path(folder) / "sample.csv"
        copy.write_text(text, encoding="utf-8", newline="")
        return csv_dialect(settings, copy) or (",", '"')


def _check_header(name: str, header: list[str], rows: list[list[str]]) -> None:
    folded = [cell.strip().lower() for cell in header]
    if "" in folded or len(set(folded)) < len(folded):
        raise PermanentError(f"{name}: the header has an empty or a repeated name; every column needs one of its own")
    if any(cell[:1].isdigit() or "@" in cell for cell in folded):
        raise PermanentError(f"{name}: the first row looks like data; CSV sources need a header")
    if not rows:
        raise PermanentError(f"{name}: a header and no rows; a sample needs some rows")


def _read_parquet(path: Path) -> Sample:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        batch = next(pq.ParquetFile(path).iter_batches(SAMPLE_ROWS), None)
    except (OSError, pa.ArrowException) as error:
        raise PermanentError(f"{path.name}: Parquet without its footer, or damaged; take a whole file") from error
    if batch is None:
        raise PermanentError(f"{path.name} has no rows; a sample needs some rows")
    sample = Sample("parquet")
    fill(sample, [{name: _plain(value) for name, value in row.items()} for row in batch.to_pylist()])
    sample.native |= {column.name: _arrow_type(column.type) for column in batch.schema}
    return sample


def _plain(value: object) -> object:
    if isinstance(value, int | float | str | bool | dict | list) or value is None:
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _arrow_type(kind: Any) -> str:
    from pyarrow import types

    tests = {
        "boolean": types.is_boolean, "integer": types.is_integer, "number": types.is_floating, "timestamp": types.is_timestamp,
        "date": types.is_date, "object": types.is_struct, "array": types.is_list,
    }  # fmt: skip
    if types.is_decimal(kind):
        return "number"
    return next((name for name, test in tests.items() if test(kind)), "text")


def existing_file(path: Path) -> Path:
    """The path when it is a file; raises UsageError."""
    if not path.is_file():
        raise UsageError(f"{path} is no file; name a CSV, NDJSON or Parquet file with some rows of the source")
    return path
