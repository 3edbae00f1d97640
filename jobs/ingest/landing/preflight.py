"""Pre-flight of one landing file: is it whole, is it text, has it the promised header; then its messages, one by one.

A file that fails is refused as a whole with a reason; a line that fails travels on with a `payload_error`.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from expectations.contracts import SourceContract
from jobs.ingest.reasons import FileReason, Reason

GZIP_MAGIC = b"\x1f\x8b"
SNIFF_BYTES = 65_536
LINE_LIMIT = 1_048_576
FILE_FIELD_LIMIT = 2**31 - 1  # an unclosed quote swallows the rest of a file; the row is then judged by LINE_LIMIT
BLOCK = 1_048_576


class RefusedFileError(Exception):
    """The file cannot be loaded; `reason` is for the manifest, `details` says what was expected, without values."""

    def __init__(self, reason: FileReason, details: str) -> None:
        super().__init__(f"{reason}: {details}")
        self.reason = reason
        self.details = details


@dataclass(frozen=True)
class Message:
    """One message of a file: 1-based line number, payload text, and what was wrong with its bytes, if anything."""

    line: int
    payload: str
    error: str | None = None


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as probe:
        magic = probe.read(2)
    return cast(BinaryIO, gzip.open(path, "rb")) if magic == GZIP_MAGIC else path.open("rb")


def _check_whole(path: Path) -> bytes:
    """Reads the file to its end, so that a truncated gzip is found before a row of it is loaded; returns its head."""
    head = b""
    try:
        with closing(_open(path)) as file:
            while block := file.read(BLOCK):
                if len(head) < SNIFF_BYTES:
                    head += block[: SNIFF_BYTES - len(head)]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RefusedFileError(
            FileReason.TRUNCATED_GZIP, "the gzip stream is truncated or damaged; send it again"
        ) from error
    except OSError as error:
        raise RefusedFileError(FileReason.UNREADABLE, f"cannot be read: {error.strerror}") from error
    return head


def check_file(path: Path, contract: SourceContract) -> None:
    """Raises RefusedFileError when the file as a whole cannot be loaded under its source's contract."""
    if path.is_symlink() or not path.is_file():
        raise RefusedFileError(FileReason.NOT_REGULAR, "only regular files are loaded")
    head = _check_whole(path)
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise RefusedFileError(FileReason.EMPTY_FILE, "no bytes, or nothing but blank lines")
    if b"\x00" in head:
        raise RefusedFileError(FileReason.NOT_TEXT, "binary content; UTF-8 text was expected")
    if contract.format == "csv":
        _check_header(head, contract)
    elif head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        raise RefusedFileError(FileReason.NOT_NDJSON, "a JSON array; one JSON object per line was expected")
    elif b"{" not in head:
        raise RefusedFileError(FileReason.NOT_TEXT, "no JSON object in the first 64 KiB; one per line was expected")


def _check_header(head: bytes, contract: SourceContract) -> None:
    first = io.StringIO(head.decode("utf-8-sig", "replace"), newline="")
    found = next(csv.reader(first), [])
    expected = list(contract.columns)
    if found == expected:
        return
    if sorted(found) == sorted(expected):
        raise RefusedFileError(
            FileReason.COLUMNS_REORDERED, f"expected the columns in this order: {', '.join(expected)}"
        )
    missing = [name for name in expected if name not in found]
    raise RefusedFileError(
        FileReason.HEADER_MISMATCH,
        f"missing columns: {', '.join(missing) or 'none'}; {len(set(found) - set(expected))} unknown; "
        f"expected: {', '.join(expected)}",
    )


def read_messages(path: Path, contract: SourceContract) -> Iterator[Message]:
    """The messages of a file that passed `check_file`; blank lines are no messages."""
    with closing(_open(path)) as file:
        yield from (_read_csv(file, contract) if contract.format == "csv" else _read_lines(file))


def _read_lines(file: BinaryIO) -> Iterator[Message]:
    number = 0
    while raw := file.readline(LINE_LIMIT + 1):
        number += 1
        too_long = len(raw) > LINE_LIMIT and not raw.endswith(b"\n")
        if too_long:  # keep the head, pass over the rest of the line, go on with the next one
            while (rest := file.readline(BLOCK)) and not rest.endswith(b"\n"):
                continue
        line = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
        line = line.rstrip(b"\r\n")
        if not line.strip():
            continue
        yield _message(number, line, too_long=too_long)


def _message(number: int, line: bytes, *, too_long: bool) -> Message:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        error = Reason.LINE_TOO_LONG if too_long else Reason.INVALID_ENCODING
        return Message(number, line.decode("utf-8", "backslashreplace"), error)
    return Message(number, text, Reason.LINE_TOO_LONG if too_long else None)


def _read_csv(file: BinaryIO, contract: SourceContract) -> Iterator[Message]:
    """Each row as a JSON object of strings; an empty cell is null. A row of another width keeps its cells as an array."""
    text = io.TextIOWrapper(
        cast("io.BufferedReader", file), encoding="utf-8-sig", errors="backslashreplace", newline=""
    )
    names = list(contract.columns)
    csv.field_size_limit(FILE_FIELD_LIMIT)
    reader = csv.reader(text)
    next(reader, None)
    for row in reader:
        if row:
            yield _csv_message(reader.line_num, row, names)


def _csv_message(line: int, row: list[str], names: list[str]) -> Message:
    payload = json.dumps(row, ensure_ascii=False)
    error: Reason | None = Reason.CSV_FIELD_COUNT
    if len(row) == len(names):
        cells = {name: cell or None for name, cell in zip(names, row, strict=True)}
        payload, error = json.dumps(cells, ensure_ascii=False, separators=(",", ":")), None
    if len(payload) > LINE_LIMIT:
        payload, error = payload[:LINE_LIMIT], Reason.LINE_TOO_LONG
    return Message(line, payload, error)
