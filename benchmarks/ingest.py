"""The whole ingest stream beside a DuckDB + delta-rs loop that makes the same checks and writes the same tables.

    make bench-ingest                                   all parts, about 40 minutes on two quiet cores
    python benchmarks/ingest.py throughput --events 200000
    python benchmarks/ingest.py flat                    cost per million from 1 M to 5 M events in one home
    python benchmarks/ingest.py latency --minutes 10    1,000 events/s through collector and service

Input is simulated (`shop_events`), its seed is printed. Ratios travel between machines; seconds do not.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from latency import measure_latency
from proctree import Usage, measured
from shop_events import NOW, SOURCE, write_file

from jobs.core.settings import Settings, bin_path, load_settings
from jobs.lake.duck import lake_connection
from jobs.lake.jars import fetch

PARTS_PER_MILLION = 4
LIMIT_RATIO, LIMIT_GROWTH = 6.0, 0.20
OUTCOMES = """
    select message_id, 'accepted ' || event_id || ' ' || name as outcome from silver_events
    union all select message_id, outcome || ' ' || reason from ops_dropped_messages
    union all select message_id, 'quarantined ' || array_to_string(list_sort(reason_codes), ',') from quarantine_messages
"""


@contextmanager
def a_home() -> Iterator[Path]:
    """An empty home with the Spark jars of the checkout, removed at the end."""
    shared = Path(".c360-test").resolve()
    shared.mkdir(exist_ok=True)
    fetch(Settings(home=shared))
    folder = Path(tempfile.mkdtemp(prefix="c360-bench-"))
    (folder / "jars").symlink_to(shared / "jars")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path) -> dict[str, str]:
    """What a measured command sees: the home, and the clock of the events."""
    return load_settings(home=str(home)).child_environment | {"C360_NOW": NOW.isoformat()}


def deliver(home: Path, events: int, seed: int, start: int = 0) -> None:
    """`events` more lines in landing, in files of a quarter million at most."""
    size = min(events, 1_000_000 // PARTS_PER_MILLION)
    for first in range(start, start + events, size):
        write_file(home / "landing" / SOURCE / f"part-{first:09d}.ndjson", size, seed=seed, start=first)


def outcomes(home: Path, other: Path) -> tuple[int, int]:
    """(messages of one home, messages that the two homes judge differently)."""
    tables = ("silver_events", "ops_dropped_messages", "quarantine_messages")
    found = []
    for folder in (home, other):
        with lake_connection(load_settings(home=str(folder), now=NOW), tables) as connection:
            found.append(connection.execute(OUTCOMES).to_arrow_table())
    with lake_connection(load_settings(home=str(home), now=NOW), ()) as connection:
        connection.register("ours", found[0])
        connection.register("theirs", found[1])
        sql = "select count(*) from ((from ours except all from theirs) union all (from theirs except all from ours))"
        row = connection.execute(sql).fetchone()
    return found[0].num_rows, int(row[0]) if row else -1


def run_ours(home: Path) -> Usage:
    """`c360 ingest run` on what has landed: seal, bronze, silver, balance."""
    return measured([bin_path("c360"), "ingest", "run"], environment(home))


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measures the ingest stream; without a command, all parts."""
    if context.invoked_subcommand is None:
        for part in (throughput, flat, latency):
            context.invoke(part)


@bench.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
def throughput(events: int, seed: int) -> None:
    """CPU of the stream over CPU of the peer, on the same files; every message must end alike."""
    click.echo(f"throughput: {events:,} simulated events, seed {seed}")
    with a_home() as home, a_home() as other:
        deliver(home, events, seed)
        shutil.copytree(home / "landing", other / "landing")
        peer = measured([sys.executable, str(Path(__file__).with_name("peer.py")), str(other)], environment(other))
        ours = run_ours(home)
        messages, different = outcomes(home, other)
    ratio = ours.cpu / peer.cpu
    click.echo(f"  DuckDB + delta-rs loop   {peer}")
    click.echo(f"  c360 ingest run          {ours}")
    click.echo(f"  {messages:,} messages judged, {different} differently")
    click.echo(f"  CPU ratio {ratio:.1f}x, limit {LIMIT_RATIO:.0f}x: {'ok' if ratio <= LIMIT_RATIO else 'OVER'}")
    if different:
        raise SystemExit("the two do not do the same work; the ratio means nothing")


@bench.command()
@click.option("--millions", default=5, show_default=True)
@click.option("--seed", default=20180102, show_default=True)
def flat(millions: int, seed: int) -> None:
    """CPU per million events while the home grows: the look for repeats must not read all that was kept."""
    click.echo(f"flat: {millions} x 1,000,000 simulated events into one home, seed {seed}")
    cpu = []
    with a_home() as home:
        for number in range(millions):
            deliver(home, 1_000_000, seed, start=number * 1_000_000)
            usage = run_ours(home)
            cpu.append(usage.cpu)
            click.echo(f"  million {number + 1}: {usage}")
            for path in (home / "landing" / SOURCE).glob("*"):
                path.unlink()
    growth = max(abs(value / cpu[0] - 1) for value in cpu)
    click.echo(
        f"  farthest from the first {growth:.0%}, limit {LIMIT_GROWTH:.0%}: {'ok' if growth <= LIMIT_GROWTH else 'OVER'}"
    )


@bench.command()
@click.option("--minutes", default=10.0, show_default=True)
@click.option("--rate", default=1_000, show_default=True, help="Events per second.")
@click.option("--seed", default=20180102, show_default=True)
def latency(minutes: float, rate: int, seed: int) -> None:
    """Receipt to silver at a steady rate, through the collector and the service."""
    click.echo(
        f"latency: {rate:,} simulated events/s for {minutes:g} minutes, seed {seed}; the first minute is warm-up"
    )
    with a_home() as home:
        for line in measure_latency(
            home, load_settings(home=str(home)).child_environment, minutes=minutes, rate=rate, seed=seed
        ):
            click.echo(f"  {line}")


if __name__ == "__main__":
    bench()
