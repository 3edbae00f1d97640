"""The messages of a file that passed pre-flight, one by one, by format. Nothing is judged here beyond bytes and width."""

import base64
import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from expectations.contracts import SourceContract
from jobs.ingest.landing.log import Torn, read_segment
from jobs.ingest.landing.preflight import UTF8_MARK, RefusedFileError, decoding, open_plain, truncated_gzip
from jobs.ingest.landing.text_check import text_error
from jobs.ingest.reasons import Reason

LINE_LIMIT = 1_048_576
FILE_FIELD_LIMIT = 2**31 - 1  # an unclosed quote swallows the rest of a file; the row is then judged by LINE_LIMIT
BLOCK = 1_048_576
PARQUET_BATCH = 10_000


class Message(NamedTuple):
    """One message: 1-based line, payload text, reason code found in its bytes; the rest only where a door knows it."""

    line: int
    payload: str
    error: str | None = None
    source: str | None = None
    received_us: int | None = None
    endpoint: str | None = None
    receipt: str | None = None


def read_messages(path: Path, contract: SourceContract) -> Iterator[Message]:
    """All messages of a delivered file, blank lines aside; raises RefusedFileError when it breaks off on the way."""
    if contract.format == "parquet":
        yield from _read_parquet(path)
        return
    try:
        with closing(open_plain(path)) as file:
            yield from (_read_csv(file, contract) if contract.format == "csv" else _read_lines(file, contract))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise truncated_gzip() from error
    except csv.Error as error:
        raise RefusedFileError(Reason.WRONG_FORMAT, f"no readable CSV: {error}") from error


def read_log(path: Path) -> Iterator[Message]:
    """All messages of a landing-log segment; torn bytes are a message of the log itself, for they were received."""
    for line, found in read_segment(path):
        if isinstance(found, Torn):
            yield Message(line, as_text(found.raw), Reason.TRUNCATED)
        else:
            receipt = json.dumps(found.receipt, ensure_ascii=True, separators=(",", ":"))
            error = found.error or text_error(found.payload)
            yield Message(line, found.payload, error, found.source, found.received_us, found.endpoint, receipt)


def as_text(raw: bytes) -> str:
    """Bytes as text: as they are when UTF-8 (without NUL, which engines cannot keep), otherwise `base64:…`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode("ascii")
    return "base64:" + base64.b64encode(raw).decode("ascii") if "\x00" in text else text


def _read_lines(file: BinaryIO, contract: SourceContract) -> Iterator[Message]:
    readline = _lines_of(file)
    number = 0
    while raw := readline(LINE_LIMIT + 1):
        number += 1
        line = raw.removeprefix(UTF8_MARK) if number == 1 else raw
        if len(raw) > LINE_LIMIT and not raw.endswith((b"\n", b"\r")):
            yield _long_line(number, line, readline)
            continue
        for part in line.split(b"\r"):  # no JSON text holds a bare carriage return
            if part.strip():
                yield _line(number, part.rstrip(b"\n"), contract)


def _lines_of(file: BinaryIO) -> Callable[[int], bytes]:
    """Reads a line by LF or CRLF; by CR where the file knows no other end of line, as old spreadsheets write."""
    head = cast("io.BufferedReader", file).peek(BLOCK)
    if b"\r" not in head or b"\n" in head:
        return file.readline
    by_return = io.TextIOWrapper(cast("io.BufferedReader", file), encoding="latin-1", newline="\r")
    return lambda limit: by_return.readline(limit).encode("latin-1")


def _line(number: int, line: bytes, contract: SourceContract) -> Message:
    try:
        text = line.decode(contract.encoding)
    except UnicodeDecodeError:
        return Message(number, as_text(line), Reason.INVALID_ENCODING)
    if "\x00" in text:
        return Message(number, as_text(line), Reason.INVALID_ENCODING)
    return Message(number, text, text_error(text))


def _long_line(number: int, head: bytes, readline: Callable[[int], bytes]) -> Message:
    """Keeps the head of an overlong line, and length and sha256 of the whole; goes on with the next line."""
    digest, size = hashlib.sha256(head), len(head)
    while rest := readline(BLOCK):
        digest.update(rest)
        size += len(rest)
        if rest.endswith((b"\n", b"\r")):
            break
    cut = {"bytes": size, "sha256": digest.hexdigest()}
    return Message(number, as_text(head[:LINE_LIMIT]), Reason.TOO_LONG, receipt=json.dumps(cut))


def _read_csv(file: BinaryIO, contract: SourceContract) -> Iterator[Message]:
    """Each row as a JSON object of strings in contract order; an empty cell is null. A row of another width keeps its
    cells as an array."""
    text = io.TextIOWrapper(
        cast("io.BufferedReader", file), encoding=decoding(contract), errors="surrogateescape", newline=""
    )
    csv.field_size_limit(FILE_FIELD_LIMIT)
    reader = csv.reader(text, delimiter=contract.delimiter)
    header = next(reader, [])
    places = [header.index(name) for name in contract.columns]
    names = list(contract.columns)
    for row in reader:
        if row:
            yield _csv_message(reader.line_num, row, names, places, len(header))


def _csv_message(line: int, row: list[str], names: list[str], places: list[int], width: int) -> Message:
    error: Reason | None = None
    if any(not cell.isascii() and not cell.isprintable() and _is_broken(cell) for cell in row):
        row = [cell.encode("utf-8", "backslashreplace").decode() for cell in row]
        error = Reason.INVALID_ENCODING
    if "\x00" in "".join(row):
        row, error = [cell.replace("\x00", "\\x00") for cell in row], Reason.INVALID_ENCODING
    if len(row) != width:
        payload, error = json.dumps(row, ensure_ascii=False), Reason.WRONG_WIDTH
    else:
        cells = {name: row[place] or None for name, place in zip(names, places, strict=True)}
        payload = json.dumps(cells, ensure_ascii=False, separators=(",", ":"))
    if len(payload) > LINE_LIMIT:
        raise RefusedFileError(
            Reason.WRONG_FORMAT, f"the row that ends on line {line} is longer than 1 MiB; is a quote left open?"
        )
    return Message(line, payload, error)


def _is_broken(cell: str) -> bool:
    """Whether the cell holds bytes that the declared encoding cannot read (kept as lone surrogates)."""
    return any("\udc80" <= letter <= "\udcff" for letter in cell)


def _read_parquet(path: Path) -> Iterator[Message]:
    """Each row as a JSON object with the file's own columns; times as ISO 8601, decimals as numbers in text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(PARQUET_BATCH):
            for row in batch.to_pylist():
                number += 1
                text = json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=_plain)
                yield Message(number, text, text_error(text))
    except (OSError, pa.ArrowException) as error:
        raise RefusedFileError(Reason.TRUNCATED, f"Parquet damaged after row {number}; send it again") from error


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return as_text(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
