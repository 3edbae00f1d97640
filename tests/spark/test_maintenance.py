"""Maintenance beside real streams: they go on over what compaction and retention do, and begin anew on proof."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import delivery
import pytest
from pyspark.sql import SparkSession

from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import PermanentError
from jobs.core.settings import Settings
from jobs.ingest.balance import compute_balance
from jobs.ingest.doctor.guard import repair, require_ready
from jobs.ingest.doctor.restart import new_checkpoint
from jobs.ingest.landing.seal import seal_new_files
from jobs.ingest.stream import silver
from jobs.ingest.stream.bronze import run_bronze, start_bronze
from jobs.lake.checkpoints import BRONZE, STREAMS, folder
from jobs.lake.delta import ensure_all, read, row_count
from jobs.lake.retired import retired_count
from jobs.maintenance.runner import run_compact, run_retain, run_vacuum
from jobs.privacy.keys import load_keys

pytestmark = pytest.mark.spark
AT = datetime(2018, 1, 2, tzinfo=UTC)
MUCH_LATER = datetime(2018, 3, 1, tzinfo=UTC)
TABLES = ("silver_events", "bronze_messages", "quarantine_messages")


def at(settings: Settings, moment: datetime = AT) -> Context:
    return Context(settings, Clock(moment), "test-run")


def deliver_orders(settings: Settings, first: int, count: int, *, days: int = 0) -> None:
    """A file of new orders, received some days after the first."""
    folder = settings.landing / "pos"
    folder.mkdir(parents=True, exist_ok=True)
    orders: list[object] = [delivery.order(n) for n in range(first, first + count)]
    (folder / f"orders-{first}.ndjson").write_text(delivery.lines(orders))
    seal_new_files(at(settings, AT + timedelta(days=days)))


def ingest(session: SparkSession, settings: Settings) -> None:
    run_bronze(session, settings)
    silver.run_silver(session, settings, load_keys(settings)[0])


def maintain(settings: Settings) -> None:
    """All of it, as of a day on which everything delivered is past its retention."""
    later = at(settings, MUCH_LATER)
    run_compact(later, list(TABLES))
    list(run_retain(later, rehearsal=False))
    run_vacuum(later, list(TABLES), rehearsal=False)


def ids(settings: Settings) -> list[str]:
    return sorted(read(settings, "silver_events", ["event_id"]).column("event_id").to_pylist())


def test_streams_go_on_while_compaction_and_retention_take_their_input(
    session: SparkSession, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    """P9, a few rounds of it: every batch finds its files joined, retired or gone, and none is lost or read twice."""
    settings = make_settings(tmp_path / "home", compact_min_files=2)
    ensure_all(settings)
    deliver_orders(settings, 0, 20)
    key = load_keys(settings)[0]
    queries = [start_bronze(session, settings, every="1 second")]
    queries[0].processAllAvailable()
    queries.append(silver.start_silver(session, settings, key, every="1 second"))
    queries[1].processAllAvailable()
    rounds, gone = 3, 0
    for number in range(1, rounds + 1):
        deliver_orders(settings, number * 20, 20, days=number)
        time.sleep(1)
        maintain(settings)  # the days before this one, of which silver may have some in hand
        gone = max(gone, retired_count(settings, from_files=True))
    for query in queries:
        query.processAllAvailable()
        assert query.isActive, query.exception()
    maintain(settings)
    for query in queries:
        query.stop()
    assert ids(settings) == sorted(f"pos-{n}" for n in range((rounds + 1) * 20))
    (row,) = compute_balance(at(settings))
    assert (row["received"], row["accepted"], row["is_balanced"]) == ((rounds + 1) * 20, (rounds + 1) * 20, True)
    assert (
        0
        < gone
        <= retired_count(settings, from_files=True)
        == (rounds + 1) * 20 - row_count(settings, "bronze_messages")
    )


@pytest.mark.parametrize("service_first", [True, False])
def test_service_and_single_run_finish_each_others_batches_of_bronze(
    session: SparkSession, tmp_path: Path, make_settings: Callable[..., Settings], service_first: bool
) -> None:
    """They write by different sinks, under one transaction: a batch whose commit is lost is not written twice."""
    settings = make_settings(tmp_path / "home")
    ensure_all(settings)
    deliver_orders(settings, 0, 20)

    def serve() -> None:
        query = start_bronze(session, settings, every="1 second")
        query.processAllAvailable()
        query.stop()

    def single() -> None:
        run_bronze(session, settings)

    first, second = (serve, single) if service_first else (single, serve)
    first()
    commits = folder(settings, BRONZE) / "commits"
    for path in (commits / "0", commits / ".0.crc"):
        path.unlink()
    second()
    assert (commits / "0").exists()
    assert row_count(settings, "bronze_messages") == 20


def test_lost_checkpoints_are_begun_anew_without_loss_or_double(
    session: SparkSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_settings: Callable[..., Settings],
) -> None:
    """P5 with Spark: two batches, the second killed between two tables, then every file of both checkpoints gone."""
    settings = make_settings(tmp_path / "home")
    ensure_all(settings)
    delivery.deliver(settings.landing)
    deliver_orders(settings, 100, 10)
    ingest(session, settings)
    append = silver.append_once

    def dies_at_identifiers(frame: object, home: Settings, name: str, **options: object) -> None:
        if name == "silver_identifiers":
            raise RuntimeError("killed here")
        append(frame, home, name, **options)

    deliver_orders(settings, 200, 10)
    with monkeypatch.context() as patch:
        patch.setattr(silver, "append_once", dies_at_identifiers)
        with pytest.raises(Exception, match="killed here"):
            ingest(session, settings)
    deliver_orders(settings, 300, 10)
    for stream in STREAMS:
        shutil.rmtree(settings.checkpoints / stream)
    with pytest.raises(PermanentError, match="--new-checkpoint bronze"):
        require_ready(settings)
    loaded = {stream: new_checkpoint(at(settings), stream) for stream in STREAMS}
    assert (loaded["bronze"].left, loaded["silver"].left) == (1, 10)
    require_ready(settings)
    ingest(session, settings)
    expected = {event_id for _, event_id in delivery.ACCEPTED} | {
        f"pos-{n + i}" for n in (100, 200, 300) for i in range(10)
    }
    assert ids(settings) == sorted(expected)
    assert all(row["is_balanced"] and row["in_flight"] == 0 for row in compute_balance(at(settings)))
    require_ready(settings)  # what Spark has written since is a whole checkpoint in the doctor's eyes


def test_spark_starts_on_what_the_doctor_passes_over(
    session: SparkSession, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    """Checksums emptied, old entries gone, the newest commits and the sealed files gone: delivered again, nothing twice."""
    settings = make_settings(tmp_path / "home")
    ensure_all(settings)
    for number in (0, 10, 20):
        deliver_orders(settings, number, 5)
        run_bronze(session, settings)
    silver.run_silver(session, settings, load_keys(settings)[0])
    for stream, old, newest in (("bronze", ("offsets/0", "commits/0"), "commits/2"), ("silver", (), "commits/0")):
        home = settings.checkpoints / stream
        for checksum in home.rglob(".*.crc"):
            checksum.write_text("")
        for name in (*old, newest):
            (home / name).unlink()
    for path in settings.sealed.glob("*.parquet"):
        path.unlink()
    with pytest.raises(PermanentError, match="its checksum is left"):
        require_ready(settings)
    assert [finding.what.split()[0] for finding in repair(settings)] == ["commits/2", "commits/0"]
    require_ready(settings)
    deliver_orders(settings, 30, 5)
    ingest(session, settings)
    assert ids(settings) == sorted(f"pos-{n + i}" for n in (0, 10, 20, 30) for i in range(5))
    (row,) = compute_balance(at(settings))
    assert (row["received"], row["accepted"], row["is_balanced"]) == (20, 20, True)
