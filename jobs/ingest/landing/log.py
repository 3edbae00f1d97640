"""The landing log: how a door that answers people (the collector) leaves messages for the streams. Framing, pure.

A segment is a file of lines `<crc32 of the rest, 8 hex> <JSON array>\\n`; the array is one `Received`. A line counts when
it ends with a newline and its checksum fits; anything else is what a crash or a bad disk left, and is handed on as
torn, so that it is counted and never silently skipped.

Life of a segment in `C360_HOME/landing_log/`: `<name>.open` while its writer holds an exclusive flock on it; renamed to
`<name>.log` when full, old or found without a holder. Only `.log` is loaded.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from jobs.core.settings import Settings

OPEN, SEALED = ".open", ".log"
CRC_HEX = 8
LINE_LIMIT = 16 * 2**20  # a message is far smaller; beyond this the rest of the file is one torn tail
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class Received:
    """One message as a door received it.

    `received_us` microseconds since the epoch (our clock) · `endpoint` message type named by the URL, if any · `receipt`
    what the door knows about the request (receipt_id, ip truncated, gpc, sent_at, …) · `payload` the message's text as
    it came; bytes that are no UTF-8 as `base64:…` with `error` set · `error` reason code found at the door.
    """

    source: str
    received_us: int
    endpoint: str | None
    receipt: dict[str, object]
    payload: str
    error: str | None = None


@dataclass(frozen=True)
class Torn:
    """Bytes of a segment that are no whole line: what a crash left at its end, or damage in its middle."""

    raw: bytes


def log_folder(settings: Settings) -> Path:
    """Where the segments are; closed to others, for they hold raw messages."""
    return settings.home / "landing_log"


def encode(message: Received) -> bytes:
    """One line of a segment."""
    fields = (message.source, message.received_us, message.endpoint, message.receipt, message.payload, message.error)
    try:
        body = _ENCODER.encode(fields)
    except UnicodeEncodeError:  # a lone surrogate, which only json writes
        body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> Received | Torn:
    """A line (with its newline) back to its message; Torn when it is not whole."""
    frame, body = line[: CRC_HEX + 1], line[CRC_HEX + 1 : -1]
    if not line.endswith(b"\n") or frame != b"%08x " % zlib.crc32(body):
        return Torn(line)
    source, received_us, endpoint, receipt, payload, error = json.loads(body.decode("utf-8", "surrogatepass"))
    return Received(source, received_us, endpoint, receipt, payload, error)


def read_segment(path: Path) -> Iterator[tuple[int, Received | Torn]]:
    """(1-based line number, message or torn bytes) for every line, the torn tail included."""
    with path.open("rb") as file:
        yield from _read(file)


def _read(file: BinaryIO) -> Iterator[tuple[int, Received | Torn]]:
    number = 0
    while line := file.readline(LINE_LIMIT):
        number += 1
        yield number, decode(line)
