"""Pre-flight of one delivered file: is it regular, readable, of the promised format, with the promised header.

A file that fails is refused as a whole with a reason; a line that fails later travels on with a `payload_error`.
"""

import csv
import gzip
import io
import zlib
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from expectations.contracts import SourceContract
from jobs.ingest.reasons import Reason

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
OTHER_MAGIC = {b"PK\x03\x04": "a zip archive", b"%PDF": "a PDF", b"\x7fELF": "a program", b"<": "HTML or XML"}
UTF8_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SNIFF_BYTES = 65_536
COLUMN_LIMIT = 512


class RefusedFileError(Exception):
    """The file is not loaded; `reason` and `details` are for the manifest and say what was expected, without values.

    `status` is rejected (another file must be sent), held (a person must look) or waiting (it may be readable later).
    """

    def __init__(self, reason: Reason | None, details: str, *, status: str = "rejected") -> None:
        super().__init__(f"{reason or status}: {details}")
        self.reason = reason
        self.details = details
        self.status = status


def open_plain(path: Path) -> BinaryIO:
    """The file's bytes, gunzipped when they are gzip; the name says nothing."""
    with path.open("rb") as probe:
        magic = probe.read(2)
    return cast(BinaryIO, gzip.open(path, "rb")) if magic == GZIP_MAGIC else path.open("rb")


def check_file(path: Path, contract: SourceContract) -> None:
    """Raises RefusedFileError when the file as a whole cannot be loaded under its source's contract."""
    if path.is_symlink() or not path.is_file():
        raise RefusedFileError(Reason.NOT_REGULAR, "only regular files are loaded")
    if contract.format == "parquet":
        _check_parquet(path)
        return
    head = _head(path)
    _check_text(head, contract)
    if contract.format == "csv":
        _check_header(head, contract)
        return
    text = head.removeprefix(UTF8_MARK).lstrip()
    if text[:1] == b"[":
        raise RefusedFileError(Reason.WRONG_FORMAT, "a JSON array; one JSON object per line was expected")
    if b"{" not in head:
        raise RefusedFileError(Reason.WRONG_FORMAT, "no JSON object in the first 64 KiB; one per line was expected")


def _head(path: Path) -> bytes:
    try:
        with closing(open_plain(path)) as file:
            return file.read(SNIFF_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise truncated_gzip() from error


def truncated_gzip() -> RefusedFileError:
    """The refusal of a gzip stream that ends early or does not fit its checksum."""
    return RefusedFileError(Reason.TRUNCATED, "the gzip stream is truncated or damaged; send it again")


def _check_parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    size = path.stat().st_size
    if size == 0:
        raise RefusedFileError(Reason.EMPTY, "no bytes")
    with path.open("rb") as file:
        if file.read(4) != PARQUET_MAGIC:
            raise RefusedFileError(Reason.WRONG_FORMAT, "not Parquet; the contract declares format: parquet")
    try:
        rows = pq.ParquetFile(path).metadata.num_rows
    except (OSError, ValueError) as error:
        raise RefusedFileError(Reason.TRUNCATED, "Parquet without its footer; send it again") from error
    if rows == 0:
        raise RefusedFileError(Reason.EMPTY, "no rows")


def _check_text(head: bytes, contract: SourceContract) -> None:
    if not head.removeprefix(UTF8_MARK).strip():
        raise RefusedFileError(Reason.EMPTY, "no bytes, or nothing but blank lines")
    for magic, what in OTHER_MAGIC.items():
        if head.removeprefix(UTF8_MARK).lstrip().startswith(magic):
            raise RefusedFileError(Reason.WRONG_FORMAT, f"looks like {what}; {contract.format} was expected")
    if contract.encoding.startswith("utf-16"):
        return
    if head.startswith(UTF16_MARKS):
        raise RefusedFileError(
            Reason.INVALID_ENCODING, f"UTF-16 text; the contract declares {contract.encoding}: convert or declare it"
        )
    if b"\x00" in head:
        raise RefusedFileError(Reason.WRONG_FORMAT, f"binary content; {contract.encoding} text was expected")


def decoding(contract: SourceContract) -> str:
    """The codec that reads the declared encoding, passing over a byte order mark."""
    return "utf-8-sig" if contract.encoding == "utf-8" else contract.encoding


def _check_header(head: bytes, contract: SourceContract) -> None:
    text = head.decode(decoding(contract), "replace")
    if len(head) == SNIFF_BYTES and "\n" not in text and "\r" not in text:
        raise RefusedFileError(Reason.WRONG_HEADER, "a header of more than 64 KiB")
    if text.lower().startswith("sep="):
        raise RefusedFileError(Reason.WRONG_HEADER, "Excel's `sep=` line stands before the header; export without it")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=contract.delimiter)
    found = next(lines, [])
    expected = list(contract.columns)
    problem = _header_problem(found, expected, strict=contract.header == "strict")
    if problem:
        raise RefusedFileError(Reason.WRONG_HEADER, f"{problem}; expected: {contract.delimiter.join(expected)}")
    if next(lines, None) is None and len(head) < SNIFF_BYTES:
        raise RefusedFileError(Reason.EMPTY, "a header and no rows")


def _header_problem(found: list[str], expected: list[str], *, strict: bool) -> str | None:
    """What is wrong with a header, without repeating its text; None when every declared column can be found by name."""
    if len(found) > COLUMN_LIMIT:
        return f"{len(found)} columns, at most {COLUMN_LIMIT} are read"
    folded = [name.strip().lower() for name in found]
    if "" in folded:
        return f"column {folded.index('') + 1} has no name"
    if len(set(folded)) < len(folded):
        return "two columns have the same name, upper and lower case aside"
    missing = [name for name in expected if name not in found]
    if missing or len(found) != len(expected):
        unknown = len(set(found) - set(expected))
        return f"missing columns: {', '.join(missing) or 'none'}; {unknown} unknown"
    return "the columns are in another order" if strict and found != expected else None
