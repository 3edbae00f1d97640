"""What the shipped segments cost in a build of the warehouse, over the lake of a home that holds the sample.

The whole warehouse is built once, then the models of segments and traits again with all their tests, by themselves: those are
the seconds that are limited. The home's lake is read, its warehouse is left alone.
"""

import shutil
import tempfile
from pathlib import Path

import click
from warehouse import built, node_seconds, slowest, timed

from jobs.core.context import Context
from jobs.core.settings import Settings, load_settings
from jobs.warehouse.dbt import raise_failures, run_dbt
from jobs.warehouse.paths import build_file
from jobs.warehouse.reader import open_build
from jobs.warehouse.reading import reading_now

LIMIT = 60
NODES = [
    "path:models/segments",
    "path:models/intermediate/int_segments__*",
    "fct_segment_memberships",
    "fct_profile_traits",
]


def measure() -> None:
    """Prints sizes and seconds; fails when the limit is not held, or there is no sample."""
    home = load_settings()
    if not (home.lake / "silver" / "events" / "_delta_log").exists():
        raise click.ClickException(
            f"{home.home} holds no sample; first: c360 sample generate, ingest run, identity run"
        )
    with tempfile.TemporaryDirectory(prefix="c360-bench-") as folder:
        settings = home.model_copy(update={"home": Path(folder), "run_id": None})
        _borrow(home.lake, settings.lake)
        _measure(settings)


def _borrow(lake: Path, to: Path) -> None:
    """The lake's tables without a copy, but for those that a build writes to."""
    to.mkdir()
    shutil.copytree(lake / "ops", to / "ops")
    for folder in lake.iterdir():
        if folder.name != "ops":
            (to / folder.name).symlink_to(folder.resolve(), target_is_directory=True)


def _measure(settings: Settings) -> None:
    context = Context.from_settings(settings)
    reading = reading_now(settings, context.clock.now())

    def segments() -> None:
        raise_failures(run_dbt(settings, build_file(settings), reading, NODES, ["--full-refresh"]))

    timed("whole warehouse", lambda: built(settings))
    _sizes(settings)
    seconds = timed("models of segments and traits, with tests", segments).seconds
    found = node_seconds(settings)
    work = sum(took for _, took in found)
    click.echo(
        f"    {len(found)} nodes, {work:.1f} s of them in {settings.duckdb_threads} threads; the rest is dbt's own"
    )
    slowest(settings, 6)
    click.echo(f"{'within' if seconds <= LIMIT else 'over'} the limit of {LIMIT} s")
    if seconds > LIMIT:
        raise click.exceptions.Exit(1)


def _sizes(settings: Settings) -> None:
    connection = open_build(settings)
    try:
        count = "select count(*), count(*) filter (not is_simulated) from marts.dim_profiles"
        click.echo("    {:,} profiles, {:,} of them real".format(*connection.execute(count).fetchall()[0]))
        sizes = dict(
            connection.execute("select segment_name, count(*) from marts.fct_segment_memberships group by 1").fetchall()
        )
        tables = "select table_name from information_schema.tables where table_schema = 'segments' order by 1"
        for (table,) in connection.execute(tables).fetchall():
            name = table.removeprefix("seg_")
            click.echo(f"    {name:<28} {sizes.get(name, 0):>7,}")
    finally:
        connection.close()
