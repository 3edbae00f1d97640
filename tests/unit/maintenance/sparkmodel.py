"""What Spark does at a start with the checkpoints that it finds, in plain Python: what is delivered again, what is read next.

Held against Spark itself in tests/spark/test_maintenance.py. It trusts the checkpoints as Spark does: with a list of files
lost it reads them again, with an old batch id it writes nothing. So what the doctor lets through, it shows.
"""

import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import urlparse

import pyarrow.parquet as pq
from checkpointkit import Row, Streams, bronze_row
from deltalake import DeltaTable

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.ingest.doctor.evidence import written
from jobs.ingest.stream.restart import under_way
from jobs.lake import deltalog
from jobs.lake.checkpoints import BRONZE, SILVER, checkpoint_id, entries, folder, offset, seen_files
from jobs.lake.delta import read
from jobs.lake.placement import PLACES


class Restarted(Streams):
    """The streams of a home that is there already, going on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.number = 0
        self.batch = -1
        self.ids = {stream: checkpoint_id(settings, stream) for stream in (BRONZE, SILVER)}

    def run(self) -> None:
        """Both streams to their ends."""
        self._bronze_run()
        self._silver_run()

    def _batch(self, stream: str) -> tuple[int, bool]:
        """(the batch to run next, whether it is one that was planned before)."""
        home = folder(self.settings, stream)
        planned = max(entries(home / "offsets"), default=-1)
        done = max(entries(home / "commits"), default=-1)
        return (planned, True) if planned > done else (planned + 1, False)

    def _bronze_run(self) -> None:
        home = folder(self.settings, BRONZE)
        self.batch, again = self._batch(BRONZE)
        seen = seen_files(self.settings) if (home / "sources").exists() else {}
        known = {Path(urlparse(uri).path): entry for uri, entry in seen.items()}
        if again:
            read_to = int(offset(home / "offsets" / str(self.batch))["logOffset"])
            before = int(offset(home / "offsets" / str(self.batch - 1))["logOffset"]) if self.batch else -1
            self._bronze_batch([p for p, entry in known.items() if before < entry <= read_to])
            self.batch += 1
        for path in sorted(set(self.settings.sealed.glob("*.parquet")) - set(known)):
            self.number = int(path.stem)
            self.list_sealed()
            self._bronze_batch([path])
            self.batch += 1

    def _bronze_batch(self, paths: list[Path]) -> None:
        held = written(self.settings, BRONZE, self.ids[BRONZE])["bronze_messages"]
        if held < self.batch:
            self.bronze([row for path in paths for row in _rows(path)], commit=True)
        else:
            self.committed(BRONZE)

    def _silver_run(self) -> None:
        home = folder(self.settings, SILVER)
        self.batch, again = self._batch(SILVER)
        if not again:
            first = self._from(self.batch - 1)
            self.silver(self.silver_offset(), commit=False)
        else:
            first = self._from(self.batch - 1)
        last = int(offset(home / "offsets" / str(self.batch))["reservoirVersion"])
        self.place(self._unplaced(self._new(first, last)))
        self.committed(SILVER)
        if again:
            self._silver_run()

    def _from(self, batch: int) -> int:
        path = folder(self.settings, SILVER) / "offsets" / str(batch)
        return int(offset(path)["reservoirVersion"]) if batch >= 0 else 0

    def _new(self, first: int, last: int) -> list[Row]:
        bronze = lake_table("bronze_messages").path(self.settings)
        names = [name for c in deltalog.commits(bronze, first) if c.version < last for name in c.added]
        columns = ["message_id", "origin", "receive_position"]
        rows = [r for n in names for r in pq.read_table(bronze / n, columns=columns, partitioning=None).to_pylist()]
        return [_bronze_row(row) for row in rows]

    def _unplaced(self, rows: list[Row]) -> list[Row]:
        if not under_way(self.settings, self.ids[SILVER]):
            return rows
        ours = f"{self.ids[SILVER]}:"
        placed = {
            row["message_id"]
            for name in PLACES
            for row in read(self.settings, name, ["message_id", "ingest_batch"]).to_pylist()
            if not row["ingest_batch"].startswith(ours)
        }
        return [row for row in rows if row["message_id"] not in placed]


def _bronze_row(row: Row) -> Row:
    from checkpointkit import TODAY

    _, number, line = row["origin"].split(":")
    return bronze_row(int(number), int(line), TODAY)


def _rows(path: Path) -> list[Row]:
    lines = pq.read_table(path, columns=["file_number", "line_number"]).to_pylist()
    return [_bronze_row({"origin": f"file:{line['file_number']}:{line['line_number']}"}) for line in lines]


def copy_home(settings: Settings, target: Path) -> Settings:
    """The same home elsewhere, its checkpoints speaking of the new place."""
    shutil.copytree(settings.home, target, symlinks=True)
    for path in (target / "checkpoints" / "bronze" / "sources" / "0").iterdir():
        path.write_text(path.read_text().replace(str(settings.home), str(target)))
    return settings.model_copy(update={"home": target})


def lost_and_doubled(settings: Settings, sealed: int) -> tuple[int, int]:
    """Of `sealed` messages: how many are in no place or missing in bronze, and how many are somewhere twice."""
    bronze = Counter(read(settings, "bronze_messages", ["message_id"]).column("message_id").to_pylist())
    places = Counter(
        i for name in PLACES for i in read(settings, name, ["message_id"]).column("message_id").to_pylist()
    )
    both = (bronze, places)
    return sealed * 2 - sum(len(c) for c in both), sum(c.total() - len(c) for c in both)


def versions(settings: Settings) -> dict[str, int]:
    """The version of each table: equal before and after means that nothing was written."""
    return {name: DeltaTable(str(lake_table(name).path(settings))).version() for name in ("bronze_messages", *PLACES)}
