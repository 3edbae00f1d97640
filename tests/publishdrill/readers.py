"""Readers that never pause: each read takes six tables and the id in every table, and says whether they belong together."""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from jobs.core.settings import Settings
from jobs.warehouse.follow import PublishedReader
from jobs.warehouse.stamp import stamps

TABLES = ("dim_profiles", "dim_products", "fct_events", "fct_orders", "fct_order_lines", "kpi_daily")
QUERY = "select min(build_number), max(build_number), count(*), count(distinct filler) from marts.{table}"


def build_name(number: int) -> str:
    """The id of the build of that number."""
    return f"build-{number:05d}"


@dataclass
class Findings:
    """What one reader has seen; `lag` is how many builds behind the newest its worst read was."""

    counts: Counter[str] = field(default_factory=Counter)
    builds: set[int] = field(default_factory=set)
    lag: int = 0
    first: dict[str, str] = field(default_factory=dict)

    def blame(self, what: str, why: str) -> None:
        """Counts it; the first of its kind is told."""
        self.counts[what] += 1
        self.first.setdefault(what, why)


def newest(folder: Path) -> int:
    """The number of the build whose publish had returned before now."""
    file = folder / "newest"
    return int(file.read_text()) if file.exists() else 0


def read_on(settings: Settings, folder: Path, number: int, rows: int, pause: float) -> None:
    """Until the file `stop` is there; writes its findings. Odd readers stay connected and follow, even ones open the file
    anew each time as a BI tool does, without anything of ours."""
    found = Findings()
    follower = PublishedReader(settings)
    while not (folder / "stop").exists():
        time.sleep(pause)
        floor = newest(folder)
        try:
            if number % 2:
                seen = _read(follower.connection(), rows, found)
            else:
                with duckdb.connect(str(settings.warehouse_file), read_only=True, config={"threads": 1}) as connection:
                    seen = _read(connection, rows, found)
        except Exception as error:  # whatever it is, a reader should not have met it
            found.blame("errors", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
            continue
        found.builds.add(seen)
        found.lag = max(found.lag, floor - seen)
    follower.close()
    report = {"counts": found.counts, "builds": sorted(found.builds), "lag": found.lag, "first": found.first}
    (folder / f"reader-{number}.json").write_text(json.dumps(report))


def _read(connection: duckdb.DuckDBPyConnection, rows: int, found: Findings) -> int:
    """The number of the build that was read; blames `torn` when there is more than one, or a table is not whole."""
    numbers: set[int] = set()
    for table in TABLES:
        low, high, count, distinct = connection.execute(QUERY.format(table=table)).fetchall()[0]
        numbers |= {low, high}
        if (count, distinct) != (rows, rows):
            found.blame("torn", f"{table} has {count} rows, {distinct} of them distinct")
    ids = {row[0] for row in connection.execute("select build_id from ops.build_info").fetchall()}
    ids |= set(stamps(connection).values())
    found.counts["reads"] += 1
    if len(numbers) != 1 or ids != {build_name(min(numbers))}:
        found.blame("torn", f"builds {sorted(numbers)} in the rows, {sorted(map(str, ids))} on the tables")
    return int(max(numbers))
