"""The stream of segments on Spark: from silver to segment_changes, told once through crashes, and equal on both engines."""

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession
from settingskit import make_settings

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.profile_ids import founded_profile_id
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import connect
from jobs.lake.schema import arrow_schema
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue
from jobs.segments.live import ledger
from jobs.segments.live.core import Live
from jobs.segments.live.engines import LocalRunner
from jobs.segments.live.process import Process
from jobs.segments.live.spark_runner import SparkRunner
from jobs.segments.live.state import Arrivals
from jobs.segments.live.stream import start_stream

START = datetime(2024, 3, 4, 12, tzinfo=UTC)
SEGMENTS = {
    "buyers": "{event: Order Completed, last: 1 hour}",
    "waiting": "{event: Product Added, not_followed_by: {event: Order Completed}, within: 10 minutes}",
    "big": "{event: Order Completed, sum: total, last: 1 day, gte: 10}",
}
ANNA, BERT = (founded_profile_id("user_id", user) for user in ("anna", "bert"))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def event(user: str, name: str, minutes: float, total: float = 1) -> dict[str, Any]:
    key = f"{user}-{name}-{minutes}".replace(" ", "_")
    plain = dict.fromkeys(lake_table("silver_events").contract.column_names)
    times = {"occurred_at": at(minutes), "received_at": at(minutes), "effective_at": at(minutes)}
    told = {"event_id": key, "source": "sim_web", "is_simulated": True, "type": "track", "name": name, "user_id": user}
    fixed = {"is_time_suspect": False, "receive_position": int(minutes * 1000), "event_date": at(minutes).date()}
    return plain | times | told | fixed | {"properties": f'{{"total": {total}}}', "flags": [], "body_hash": key,
            "contract_version": 1, "message_id": key, "ingest_batch": "test"}  # fmt: skip


def to_silver(settings: Settings, *events: dict[str, Any]) -> None:
    rows = pa.Table.from_pylist(list(events), schema=arrow_schema(lake_table("silver_events").contract))
    delta.append(settings, "silver_events", rows)


def definitions(folder: Path) -> Catalogue:
    for name in ("segments", "traits"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, rule in SEGMENTS.items():
        text = f"name: {name}\ndescription: Used by the tests of the stream.\nrule: {rule}\n"
        (folder / "segments" / f"{name}.yml").write_text(text, encoding="utf-8")
    return load(folder)


def run(session: SparkSession, settings: Settings, catalogue: Catalogue, minutes: float) -> None:
    """One start of the stream, at a moment, to the end of what is there."""
    process = Process(Context(settings, Clock(at(minutes)), "test"), catalogue)
    process.open()
    try:
        start_stream(session, process, every=None).awaitTermination()
        process.tick()
    finally:
        process.close()


def told(settings: Settings) -> list[tuple[Any, ...]]:
    rows = delta.read(settings, "segment_changes").to_pylist()
    columns = ("known_at", "evaluated_at", "segment", "profile_id", "is_entry", "valid_at", "cause")
    return sorted(tuple(row[name] for name in columns) for row in rows)


def crashing(*_: Any, **__: Any) -> None:
    raise RuntimeError("a crash")


def test_every_change_is_told_once(session: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, catalogue = make_settings(tmp_path / "home"), definitions(tmp_path / "definitions")
    delta.ensure_all(settings)
    to_silver(settings, event("anna", "Order Completed", 0))
    run(session, settings, catalogue, 1)
    begun = [(at(1), at(1), "buyers", ANNA, True, at(1), "definition")]
    assert told(settings) == begun

    to_silver(settings, event("bert", "Order Completed", 2, total=12), event("bert", "Product Added", 3))
    append = ledger.append_batch
    monkeypatch.setattr(ledger, "append_batch", crashing)  # before anything is told
    with pytest.raises(StreamingQueryException, match="a crash"):
        run(session, settings, catalogue, 4)
    assert told(settings) == begun

    def then_crash(*arguments: Any, **named: Any) -> None:
        append(*arguments, **named)
        crashing()

    monkeypatch.setattr(ledger, "append_batch", then_crash)  # told, and Spark does not know
    with pytest.raises(StreamingQueryException, match="a crash"):
        run(session, settings, catalogue, 5)
    bert = [
        (at(5), at(3), "big", BERT, True, at(2), "event"),
        (at(5), at(3), "buyers", BERT, True, at(2), "event"),
    ]
    assert told(settings) == begun + bert
    monkeypatch.undo()
    run(session, settings, catalogue, 6)  # the same batch is delivered again
    assert told(settings) == begun + bert

    newest = max((settings.checkpoints / "segments" / "commits").glob("[0-9]*"), key=lambda path: int(path.name))
    for path in (newest, newest.with_name(f".{newest.name}.crc")):
        path.unlink()
    run(session, settings, catalogue, 7)  # and once more, by way of Spark's own books
    assert told(settings) == begun + bert

    run(session, settings, catalogue, 70)  # nothing came: time went by, in its order
    assert told(settings)[3:] == [
        (at(70), at(13), "waiting", BERT, True, at(13), "time"),
        (at(70), at(60), "buyers", ANNA, False, at(60), "time"),
        (at(70), at(62), "buyers", BERT, False, at(62), "time"),
    ]
    shutil.rmtree(settings.checkpoints / "segments")  # lost: it goes on from what was told
    to_silver(settings, event("anna", "Order Completed", 71))
    run(session, settings, catalogue, 72)
    assert told(settings)[6:] == [(at(72), at(71), "buyers", ANNA, True, at(71), "event")]


def test_both_engines_tell_the_same(session: SparkSession, tmp_path: Path) -> None:
    settings, catalogue, chance = (
        make_settings(tmp_path / "home"),
        definitions(tmp_path / "definitions"),
        random.Random(7),
    )
    columns = ("event_key", "name", "effective_at", "received_at", "receive_position", "properties", "is_simulated")
    rows = []
    for number in range(60):
        name = chance.choice(("Order Completed", "Product Added"))
        made = event(f"u{chance.randrange(9)}", name, chance.randrange(120), total=chance.randrange(8))
        made |= {"event_key": str(number), "profile_id": made["user_id"]}
        rows.append({name: made[name] for name in ("profile_id", *columns)})
    found = []
    for runner in (LocalRunner(), SparkRunner(lambda: session, tmp_path / "work")):
        with connect(settings) as connection:
            live = Live(connection, catalogue, runner=runner)
            live.begin(START, Arrivals())
            half = [row for row in rows if row["received_at"] <= at(60)]
            rest = [row for row in rows if row not in half]
            changes = [live.advance(at(60), Arrivals(pa.Table.from_pylist(half))).to_pylist()]
            changes.append(live.advance(at(62), Arrivals(pa.Table.from_pylist(rest))).to_pylist())
            found.append(changes)
    assert found[0] == found[1]
    assert sum(len(changes) for changes in found[0]) > 10
