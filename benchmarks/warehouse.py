"""What a build of the warehouse costs: whole, and of one more day from the published file (`--incremental`).

    make bench-warehouse PART=incremental SIZE=10000000      needs about 30 GB of disk
    python benchmarks/warehouse.py overhead

`incremental`: a simulated lake of SIZE events over a year is built whole and published; then a day comes (a tenth of it
late, and one person in 2,000 found to be another), which is built from the published file, and whole once more: the tables
must be equal. `overhead`: what dbt costs when there is next to nothing to build.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import psutil
from shop_lake import END, add_day, make_lake

from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake.runs import stage
from jobs.warehouse.build import build
from jobs.warehouse.content import content_hash
from jobs.warehouse.dbt import TIMINGS
from jobs.warehouse.paths import build_file, dbt_folder, public_marts
from jobs.warehouse.reader import open_build

EVENTS_PER_BROWSER = 30


class Took(NamedTuple):
    """Seconds of the clock and of the processor; they differ when the machine is shared."""

    seconds: float
    cpu: float


def timed(what: str, work: Callable[[], Any]) -> Took:
    """Runs it; says and returns what it took."""
    process = psutil.Process()
    begun, before = time.perf_counter(), process.cpu_times()
    work()
    after, seconds = process.cpu_times(), time.perf_counter() - begun
    cpu = after.user - before.user + after.system - before.system
    click.echo(f"{what:<42} {seconds:8.1f} s   {cpu:8.1f} CPU s")
    return Took(seconds, cpu)


def built(settings: Settings, *, incremental: bool = False) -> None:
    context = Context.from_settings(settings)
    with stage(context, "warehouse.build") as current:
        build(context, current, incremental=incremental)
    if incremental and "whole" in current.details:
        raise click.ClickException(f"built whole: {current.details['whole']}")


def node_seconds(settings: Settings) -> list[tuple[str, float]]:
    """The nodes of dbt's last run and what they took, the longest first."""
    found = json.loads((dbt_folder(settings) / TIMINGS).read_text(encoding="utf-8"))
    return sorted(found.items(), key=lambda node: -node[1])


def slowest(settings: Settings, count: int) -> None:
    """The nodes of the last build that took longest."""
    for node, seconds in node_seconds(settings)[:count]:
        click.echo(f"    {seconds:6.1f} s  {node}")


def contents(settings: Settings) -> dict[str, dict[str, Any]]:
    connection = open_build(settings)
    try:
        return {name: asdict(content_hash(connection, name)) for name in public_marts()}
    finally:
        connection.close()


def publish_unjudged(settings: Settings) -> None:
    """In the place of the published file without gate and publish, which are not what is measured."""
    shutil.move(build_file(settings), settings.warehouse_file)


def incremental(settings: Settings, size: int) -> None:
    people = max(size // EVENTS_PER_BROWSER, 100)
    timed(f"simulated lake of {size:,} events", lambda: make_lake(settings, size=size, people=people))
    whole = timed("whole build", lambda: built(settings))
    slowest(settings, 12)
    publish_unjudged(settings)
    settings = settings.model_copy(update={"now": END + timedelta(days=1)})
    click.echo(f"one more day: {add_day(settings, size=size, people=people):,} events")
    part = timed("incremental build", lambda: built(settings, incremental=True))
    slowest(settings, 12)
    found = contents(settings)
    timed("whole build again", lambda: built(settings))
    differing = [name for name, content in contents(settings).items() if content != found[name]]
    click.echo(f"marts that differ between the two: {', '.join(differing) or 'none'}")
    click.echo(f"incremental / whole: {part.cpu / whole.cpu:.3f} of the CPU seconds")


def overhead(settings: Settings, _: int) -> None:
    make_lake(settings, size=1000, people=100)
    for name in ("first build in a process", "second build in it", "one more day, in part"):
        in_part = name == "one more day, in part"
        if in_part:
            publish_unjudged(settings)
            settings = settings.model_copy(update={"now": END + timedelta(days=1)})
            add_day(settings, size=1000, people=100)
        timed(name, partial(built, settings, incremental=in_part))
        found = node_seconds(settings)
        work = sum(seconds for _, seconds in found)
        click.echo(f"    of it in {len(found)} nodes: {work:.1f} s over {settings.duckdb_threads} threads")


PARTS = {"incremental": incremental, "overhead": overhead}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--size", default=1_000_000, show_default=True, type=click.IntRange(min=1000), help="Events of the lake.")
@click.option("--memory", default="6GB", show_default=True, help="Memory limit of DuckDB.")
def main(parts: tuple[str, ...], size: int, memory: str) -> None:
    """Run the parts (all by default) in a home of their own, which is removed."""
    for part in parts or tuple(PARTS):
        click.echo(f"── {part}")
        with tempfile.TemporaryDirectory(prefix="c360-bench-") as folder:
            PARTS[part](Settings(home=Path(folder), now=END, duckdb_memory=memory), size)


if __name__ == "__main__":
    main()
