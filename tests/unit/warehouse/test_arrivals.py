"""What has come and gone between two versions of a lake table, found by their files: the very difference of their rows."""

import random
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from lakekit import NOW, Lake
from settingskit import make_settings

from jobs.core.catalog import lake_table
from jobs.core.settings import Settings
from jobs.lake import delta, duck
from jobs.lake.schema import arrow_schema
from jobs.warehouse.arrivals import GROWING, put_arrivals_aside
from jobs.warehouse.increment import Origin, origin_now, why_not_comparable
from jobs.warehouse.reading import Reading

Rows = Counter[tuple[str, str, int, str, datetime]]
EVENTS = "silver_events"


def write(settings: Settings, lake: Lake) -> None:
    """The two tables only: to make and open all of them each time would cost ten times as much."""
    for name in GROWING:
        delta.append(
            settings, name, pa.Table.from_pylist(lake.rows[name], schema=arrow_schema(lake_table(name).contract))
        )


def reading(settings: Settings, as_of: datetime) -> Reading:
    return Reading(as_of, {name: delta.version(settings, name) for name in GROWING})


def rows(table: pa.Table, until: datetime) -> Rows:
    """The rows that are known at a moment, by what tells them apart."""
    return Counter(
        (row["source"], row["event_id"], row["receive_position"], row["ingest_batch"], row["received_at"])
        for row in table.to_pylist()
        if row["received_at"] <= until
    )


def known(settings: Settings, name: str, read: Reading) -> Rows:
    path = str(lake_table(name).path(settings))
    return rows(DeltaTable(path, version=read.versions[name]).to_pyarrow_table(), read.as_of)


def arrivals(
    connection: duckdb.DuckDBPyConnection, settings: Settings, now: Reading, since: Reading
) -> dict[str, tuple[Rows, Rows]]:
    """What came and what went, by table."""
    connection.execute("drop schema if exists previous cascade; create schema previous")
    put_arrivals_aside(connection, settings, now, since=since)
    return {
        name: (
            rows(connection.execute(f"from previous.{name}_came").to_arrow_table(), now.as_of),
            rows(connection.execute(f"from previous.{name}_gone").to_arrow_table(), now.as_of),
        )
        for name in GROWING
    }


def change(settings: Settings, drawn: random.Random, position: int) -> None:
    """Something that happens to the tables of a lake: messages, compaction, an erasure, retention, a correction."""
    kind = drawn.choice(("messages", "messages", "compaction", "erasure", "rewrite", "nothing"))
    if kind == "messages":
        lake = Lake(position=position)
        for _ in range(drawn.randint(1, 4)):
            received = (NOW + timedelta(hours=drawn.randint(-40, 40))).isoformat()[:19]
            happened = f"2017-12-{drawn.randint(10, 30)}"
            lake.event("web", "page", happened, {"anonymous_id": f"b{drawn.randint(0, 3)}"}, received_at=received)
        write(settings, lake)
        return
    for name in GROWING:
        table = delta.ensure_table(settings, name)
        if kind == "compaction":
            table.optimize.compact()
        elif kind == "erasure":
            table.delete(f"receive_position % 5 = {drawn.randint(0, 4)}")
        elif kind == "rewrite":  # everything in new files, some of it with other words
            held = delta.read(settings, name)
            odd = pc.equal(pc.bit_wise_and(held["receive_position"], 1), 1)
            batches = pc.if_else(odd, f"replay:{drawn.randint(0, 9)}", held["ingest_batch"])
            at = held.schema.get_field_index("ingest_batch")
            delta.replace(settings, name, held.set_column(at, "ingest_batch", batches))


@pytest.mark.parametrize("seed", range(5))
def test_what_came_and_went_is_the_difference(tmp_path: Path, seed: int) -> None:
    settings, drawn = make_settings(tmp_path / "home"), random.Random(seed)
    connection = duck.connect(settings)
    since = reading(settings, NOW - timedelta(hours=30))
    seen = 0
    for build in range(6):
        for step in range(drawn.randint(1, 3)):
            change(settings, drawn, 1_000_000_000 + 1000 * build + 100 * step)
        now = reading(settings, since.as_of + timedelta(hours=drawn.choice((0, 0, 7, 24))))
        for name, (came, gone) in arrivals(connection, settings, now, since).items():
            before, after = known(settings, name, since), known(settings, name, now)
            assert (came, gone) == (after - before, before - after), (build, name)
            seen += came.total() + gone.total()
        since = now
    connection.close()
    assert seen > 4, "else it would prove nothing"


def test_compaction_alone_brings_nothing(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "home")
    for position in (1, 2, 3):
        write(settings, Lake(position=position * 100).event("web", "page", "2017-12-24", {"anonymous_id": "b"}))
    since = reading(settings, NOW)
    delta.ensure_table(settings, EVENTS).optimize.compact()
    now = reading(settings, NOW)
    assert len(delta.files(settings, EVENTS, now.versions[EVENTS])) < 3
    with duck.connect(settings) as connection:
        assert arrivals(connection, settings, now, since)[EVENTS] == (Counter(), Counter())


def test_tables_that_cannot_be_compared_are_said(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "home")
    write(settings, Lake().event("web", "page", "2017-12-24", {"anonymous_id": "b"}))
    first = reading(settings, NOW)
    origin = origin_now(settings, first)
    assert why_not_comparable(settings, first, origin) is None
    earlier = Reading(NOW - timedelta(hours=1), first.versions)
    assert why_not_comparable(settings, earlier, origin) == "the published build is of a later moment"
    assert "does not say" in str(why_not_comparable(settings, first, Origin(origin.project, origin.versions)))
    delta.replace(settings, EVENTS, delta.read(settings, EVENTS))
    assert why_not_comparable(settings, reading(settings, NOW), origin) is None
    for path in delta.files(settings, EVENTS, first.versions[EVENTS]):
        path.unlink()
    lost = f"what the published build has read of {EVENTS} is no longer kept"
    assert why_not_comparable(settings, reading(settings, NOW), origin) == lost
    shutil.rmtree(settings.lake)
    write(settings, Lake().event("web", "page", "2017-12-24", {"anonymous_id": "b"}))
    again = reading(settings, NOW.astimezone(UTC))
    assert again.versions == first.versions
    anew = "silver_events, silver_identifiers have been made anew"
    assert why_not_comparable(settings, again, origin) == anew
