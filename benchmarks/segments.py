"""What segments cost: their dbt models, and the real-time evaluator under load.

    make bench-segments PART=build                     the shipped ones over the sample in C360_HOME, as dbt models on DuckDB
    make bench-segments PART=stream                    500 events/s for 10 minutes
    make bench-segments PART=kills                     the same for 5 minutes, killed 10 times
    make bench-segments PART=scale                     CPU seconds per micro-batch over 10,000, 50,000 and 200,000 profiles
    python benchmarks/segments.py stream --minutes 2

Events are simulated (`segments_load`) and appended to silver directly; the seed is printed. Seconds are of this machine.
"""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
import numpy as np
import psutil
import pyarrow.parquet as pq
from ingest import a_home
from proctree import Usage
from segments_build import measure
from segments_decisions import report, write_triggers
from segments_load import fill, shoppers_events, to_silver, write_definitions

from jobs.core.catalog import lake_table
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.settings import Settings, bin_path, load_settings
from jobs.lake import delta
from jobs.lake.deltalog import commit_file, commits
from jobs.lake.duck import connect, lake_connection
from jobs.segments.evaluate.event_files import members_of
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.catalogue import load
from jobs.segments.live.process import Process
from jobs.segments.triggers.service import beside

LIMIT_AGE, LIMIT_GROWTH, LIMIT_MEMORY = 60.0, 0.20, 0.20
FEED_SECONDS = 2.0
WARM_UP_SECONDS = 45.0


@contextmanager
def a_lake() -> Iterator[Settings]:
    """A home with all tables, empty, and the definitions of the benchmark."""
    with a_home() as home:
        settings = load_settings(home=str(home))
        delta.ensure_all(settings)
        write_definitions(home / "definitions")
        write_triggers(home / "definitions")
        yield settings


@click.group()
def bench() -> None:
    """Benchmarks of segments."""


bench.command("build")(measure)


@bench.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--rate", default=500, show_default=True)
@click.option("--profiles", default=20_000, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
def stream(minutes: float, rate: int, profiles: int, seed: int) -> None:
    """Age of an event when its change is told, and memory, under a steady load."""
    with a_lake() as settings:
        _loaded(settings, minutes=minutes, rate=rate, profiles=profiles, seed=seed, kills=0)


@bench.command()
@click.option("--minutes", default=5.0, show_default=True)
@click.option("--rate", default=500, show_default=True)
@click.option("--profiles", default=20_000, show_default=True)
@click.option("--kills", default=10, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
def kills(minutes: float, rate: int, profiles: int, kills: int, seed: int) -> None:
    """The evaluator is killed at random moments under the same load; nothing may be told twice or lost."""
    with a_lake() as settings:
        _loaded(settings, minutes=minutes, rate=rate, profiles=profiles, seed=seed, kills=kills)


@bench.command()
@click.option("--sizes", default="10000,50000,200000", show_default=True)
@click.option("--each", default=20, show_default=True, help="Events known of a profile.")
@click.option("--batches", default=12, show_default=True)
@click.option("--events", default=1_500, show_default=True, help="Events of a micro-batch.")
@click.option("--seed", default=20180102, show_default=True)
def scale(sizes: str, each: int, batches: int, events: int, seed: int) -> None:
    """CPU seconds of a micro-batch, members and triggers, as the number of profiles grows."""
    found = {size: _cost(int(size), each, batches, events, seed) for size in sizes.split(",")}
    for size, (cpu, wall, looked) in found.items():
        click.echo(
            f"{int(size):9,} profiles: {cpu:6.3f} CPU-s, {wall:6.3f} s per micro-batch, {looked:6.0f} profiles looked at"
        )
    costs = [cpu for cpu, _, _ in found.values()]
    growth = costs[-1] / costs[0] - 1
    verdict = _verdict(abs(growth) <= LIMIT_GROWTH)
    click.echo(f"growth from the first to the last: {growth:+.0%} (asked: within {LIMIT_GROWTH:.0%}) {verdict}")


def _cost(profiles: int, each: int, batches: int, events: int, seed: int) -> tuple[float, float, float]:
    with a_lake() as settings:
        now = Clock().now()
        fill(settings, profiles, each, before=now, seed=seed)
        catalogue = load(settings.home / "definitions")
        triggers = beside(settings.home / "definitions", catalogue)
        process = Process(Context(settings, Clock(now), "bench"), catalogue, companions=triggers)
        process.open()
        chance, cpus, walls, looked = random.Random(seed), [], [], []
        for number in range(batches):
            at = now + timedelta(seconds=3 * (number + 1))
            rows = shoppers_events(chance, events, profiles, first=10**9 + number * events, times=[at])
            relation = _batch(process, rows)
            process.context = Context(settings, Clock(at), "bench")
            used, started = time.process_time(), time.perf_counter()
            process.batch(relation, checkpoint="bench", batch_id=number)
            cpus.append(time.process_time() - used)
            walls.append(time.perf_counter() - started)
            looked.append(process.live.evaluated)
        process.close()
    keep = slice(2, None)  # the first ones warm up
    return float(np.median(cpus[keep])), float(np.median(walls[keep])), float(np.mean(looked[keep]))


def _batch(process: Process, rows: list[dict[str, Any]]) -> str:
    import pyarrow as pa

    from jobs.lake.schema import arrow_schema

    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("silver_events").contract))
    process.live.connection.register("bench_rows", table)
    process.live.connection.execute(
        "create or replace temp table bench_batch as select *, source || '|' || event_id as event_key from bench_rows"
    )
    return "bench_batch"


def _loaded(settings: Settings, *, minutes: float, rate: int, profiles: int, seed: int, kills: int) -> None:
    click.echo(
        f"seed {seed}; {rate} simulated events/s of {profiles:,} profiles for {minutes:g} minutes, {kills} kills"
    )
    chance, began = random.Random(seed), Clock().now().timestamp()
    fill(settings, profiles, 5, before=Clock().now(), seed=seed)
    deaths = sorted(WARM_UP_SECONDS + chance.random() * (minutes * 60 - WARM_UP_SECONDS) for _ in range(kills))
    with (settings.home / "service.log").open("w") as log:
        service, usage, memory = _start(settings, log), Usage(), []
        sent, started = 0, time.monotonic()
        while (passed := time.monotonic() - started) < minutes * 60:
            due = int(passed * rate) - sent
            to_silver(settings, shoppers_events(chance, due, profiles, first=10**9 + sent, times=[Clock().now()]))
            sent += due
            if deaths and passed > deaths[0]:
                deaths.pop(0)
                service.kill()
                service.wait()
                service = _start(settings, log)
            usage.look(psutil.Process(service.pid))
            memory.append((passed, _resident(service.pid)))
            time.sleep(max(0.0, FEED_SECONDS - (time.monotonic() - started - passed)))
        time.sleep(20)
        service.send_signal(signal.SIGTERM)
        service.wait(120)
    if service.returncode != 0:
        raise SystemExit((settings.home / "service.log").read_text()[-3000:])
    click.echo(f"{sent:,} events sent; evaluator: {usage.cpu:.0f} CPU-s, {usage.peak_bytes / 2**20:.0f} MiB peak")
    rest = [*_command(settings)[:3], *_command(settings)[4:]]  # what is there, then an end
    subprocess.run(rest, env=settings.child_environment, check=True, capture_output=True)
    _told(settings, began, after=WARM_UP_SECONDS if not kills else 0.0, judged=not kills)
    if not kills:
        _memory(memory)
    _judge(settings)
    report(settings)


def _start(settings: Settings, log: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(_command(settings), env=settings.child_environment, stderr=log, stdout=log)


def _command(settings: Settings) -> list[str]:
    return [
        bin_path("c360"),
        "segments",
        "stream",
        "--continuous",
        "--definitions",
        str(settings.home / "definitions"),
    ]


def _resident(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(p.memory_info().rss for p in [root, *root.children(recursive=True)])
    except psutil.Error:
        return 0


def _told(settings: Settings, began: float, *, after: float, judged: bool) -> None:
    """Age of the youngest event behind a change at the moment of the commit that tells it."""
    path, ages = lake_table("segment_changes").path(settings), []
    for commit in commits(path):
        at = commit_file(path, commit.version).stat().st_mtime
        for name in commit.added if at > began + after else ():
            rows = pq.read_table(path / name, columns=["valid_at", "cause"]).to_pylist()
            ages += [at - row["valid_at"].timestamp() for row in rows if row["cause"] == "event"]
    values = np.array(ages)
    p50, p95 = np.quantile(values, 0.5), np.quantile(values, 0.95)
    verdict = f" (asked: under {LIMIT_AGE:.0f} s) {_verdict(p95 < LIMIT_AGE)}" if judged else ""
    click.echo(
        f"{len(values):,} changes by events; from event to segment_changes p50 {p50:.1f} s, p95 {p95:.1f} s{verdict}"
    )


def _memory(samples: list[tuple[float, int]]) -> None:
    """The third quarter of the run against the last."""
    end = samples[-1][0]
    third, last = (
        np.median([size for at, size in samples if end * low <= at < end * high])
        for low, high in ((0.5, 0.75), (0.75, 1.01))
    )
    growth = last / third - 1
    sizes = f"{third / 2**20:.0f} → {last / 2**20:.0f} MiB"
    click.echo(f"memory {sizes} from the third to the last quarter: {growth:+.0%} {_verdict(growth < LIMIT_MEMORY)}")


def _judge(settings: Settings) -> None:
    """Entries and exits alternate, and the members they lead to are those of the batch at the last moment."""
    catalogue = load(settings.home / "definitions")
    process = Process(Context(settings, Clock(), "judge"), catalogue)
    process.open()
    moment = process.reached
    assert moment is not None
    ours = {(row["profile_id"], row["segment"]) for row in process.live.memberships().to_pylist()}
    process.sources._resolve_silver(None)
    events = process.live.connection.execute("from owned_events").to_arrow_table()
    people = process.live.connection.execute("select profile_id from attributes").to_arrow_table()
    process.close()
    with connect(settings) as connection:
        connection.register("events", events)
        connection.register("attributes", people)
        times = "cast(effective_at as timestamp) as effective_at, cast(received_at as timestamp) as received_at"
        connection.execute(f"create table eval_events as select * replace ({times}) from events")
        connection.execute(
            "create table asked as select profile_id, $1::timestamp as as_of from attributes",
            [moment.replace(tzinfo=None)],
        )
        theirs = set(members_of(Evaluator(catalogue).evaluate(connection), catalogue))
    with lake_connection(settings, ("segment_changes",)) as connection:
        twice = connection.execute(
            "select count(*) from (select is_entry, lag(is_entry, 1, false) over (partition by segment, profile_id"
            " order by known_at, evaluated_at) as before from segment_changes) where is_entry = before"
        ).fetchone()
    told_twice, lost = int(twice[0]) if twice else -1, len(ours ^ theirs)
    verdict = _verdict(not told_twice and not lost)
    click.echo(
        f"told twice: {told_twice}; members by changes and by batch differ in {lost} of {len(theirs):,} {verdict}"
    )


def _verdict(is_good: bool) -> str:
    return "✓" if is_good else "✗ MISSED"


if __name__ == "__main__":
    bench()
