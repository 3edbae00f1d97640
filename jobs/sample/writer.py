"""Writes landing files: under a dotted temporary name first, then renamed into place when whole; equal bytes each time."""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from jobs.core.hashing import hash_file


@dataclass(frozen=True)
class Written:
    """One landing file: `messages` are its lines, without the header of a CSV."""

    source: str
    file: str
    messages: int
    size_bytes: int
    sha256: str

    @property
    def is_simulated(self) -> bool:
        """Whether the source is invented; its name says so."""
        return self.source.startswith("sim_")

    def as_dict(self) -> dict[str, object]:
        """For the marker and the plan."""
        return asdict(self) | {"is_simulated": self.is_simulated}


class Landing:
    """The landing folder. Remembers what was written, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.written: list[Written] = []

    def write_lines(self, source: str, file: str, batches: Iterable[list[str]]) -> Written | None:
        """NDJSON, one message a line; no file (None) when there is no message."""
        return self._write(source, file, batches, header=())

    def write_csv(
        self, source: str, file: str, header: tuple[str, ...], batches: Iterable[list[tuple[object, ...]]]
    ) -> None:
        """CSV with a header; None becomes an empty cell."""
        self._write(source, file, (_csv_lines(batch) for batch in batches), header=header)

    def _write(
        self, source: str, file: str, batches: Iterable[list[str]], *, header: tuple[str, ...]
    ) -> Written | None:
        folder = self.root / source
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        final, partial = folder / file, folder / f".{file}.partial"
        messages = 0
        with _open(partial, compressed=file.endswith(".gz")) as out:
            if header:
                out.write((",".join(header) + "\n").encode())
            for batch in batches:
                messages += len(batch)
                out.write(("\n".join(batch) + "\n").encode())
        if not messages and not header:
            partial.unlink()
            return None
        done = Written(source, file, messages, partial.stat().st_size, hash_file(partial))
        if final.exists() and hash_file(final) == done.sha256:
            partial.unlink()  # left alone, so that its modification time says when it was delivered
        else:
            partial.replace(final)
        self.written.append(done)
        return done


@contextmanager
def _open(path: Path, *, compressed: bool) -> Iterator[BinaryIO]:
    """gzip without name and time in its header: equal content gives equal bytes."""
    with path.open("wb") as raw:
        if not compressed:
            yield raw
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
            yield cast(BinaryIO, packed)


def _csv_lines(rows: list[tuple[object, ...]]) -> list[str]:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().removesuffix("\n").split("\n")
