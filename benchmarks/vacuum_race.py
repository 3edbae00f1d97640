"""One process appends to a table, small commit after small commit, while another joins its files and vacuums it.

    make drill-vacuum                                   about ten minutes
    python benchmarks/vacuum_race.py --appends 200 --vacuums 4

Before each vacuum a stray file that is older than any reader is put into the table, so that each has something to remove.
At the end every row appended is there once, every file that the table names is on disk, and every stray is gone.
"""

import multiprocessing
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import click
import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from jobs.maintenance.compact import compact
from jobs.maintenance.vacuum import vacuum

TABLE = "ops_dropped_messages"
COMPACT_EVERY = 5  # vacuums


def append_all(settings: Settings, appends: int) -> None:
    """One row a commit, each under a transaction of its own number, as a stream writes."""
    schema = arrow_schema(lake_table(TABLE).contract)
    row: dict[str, object] = {
        "source": "race",
        "outcome": "duplicate",
        "reason": "repeated_event_id",
        "ingest_batch": "race:0",
    }
    row |= {"received_date": Clock().now().date()}
    for number in range(1, appends + 1):
        rows = pa.Table.from_pylist([row | {"message_id": f"row-{number}"}], schema=schema)
        delta.append(settings, TABLE, rows, app_id="race", app_version=number)


def stray(folder: Path, number: int, age: timedelta) -> Path:
    """A file that a writer left behind long ago."""
    path = folder / f"stray-{number}.parquet"
    path.write_bytes(b"left behind")
    old = (Clock().now() - age).timestamp()
    os.utime(path, (old, old))
    return path


@click.command()
@click.option("--appends", default=10_000, show_default=True)
@click.option("--vacuums", default=100, show_default=True)
def main(appends: int, vacuums: int) -> None:
    """Races them; exit code 1 when a row or a file is lost."""
    with tempfile.TemporaryDirectory(prefix="c360-drill-") as home:
        settings = Settings(home=Path(home), compact_min_files=20)
        delta.ensure_table(settings, TABLE)
        writer = multiprocessing.get_context("spawn").Process(target=append_all, args=(settings, appends))
        writer.start()
        removed, strays, rounds = race(settings, writer, vacuums, appends)
        writer.join()
        table = delta.ensure_table(settings, TABLE)
        ids = table.to_pyarrow_table(columns=["message_id"]).column(0).to_pylist()
        missing = [uri for uri in table.file_uris() if not Path(uri).exists()]
    lost, twice = appends - len(set(ids)), len(ids) - len(set(ids))
    click.echo(
        f"{appends:,} appends against {rounds} vacuums: lost {lost}, twice {twice}, files missing {len(missing)}"
    )
    click.echo(f"strays removed {removed} of {strays}; the writer ended with {writer.exitcode}")
    sys.exit(0 if not lost and not twice and not missing and removed == strays and writer.exitcode == 0 else 1)


def race(
    settings: Settings, writer: multiprocessing.process.BaseProcess, vacuums: int, appends: int
) -> tuple[int, int, int]:
    """Vacuums spread over the appends; (strays removed, strays made, vacuums run while the writer was at work)."""
    folder = lake_table(TABLE).path(settings)
    age = timedelta(hours=settings.file_retention_hours + 1)
    removed = strays = rounds = 0
    while rounds < vacuums and writer.is_alive():
        version = delta.version(settings, TABLE)
        if version < rounds * appends // vacuums:
            time.sleep(0.05)
            continue
        stray(folder, rounds, age)
        strays += 1
        if rounds % COMPACT_EVERY == COMPACT_EVERY - 1:
            compact(settings, TABLE)
        removed += vacuum(settings, TABLE, Clock().now()).files
        rounds += 1
    return removed, strays, rounds


if __name__ == "__main__":
    main()
