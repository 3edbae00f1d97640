"""`c360 warehouse …`: build, publish, roll back, query."""

from datetime import UTC, datetime
from pathlib import Path

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import UsageError

MOMENT = click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"])
DAY = click.DateTime(["%Y-%m-%d"])


@click.group(cls=HintingGroup)
def group() -> None:
    """Build with dbt, publish atomically, query read-only.

    A build goes into a private file. The gate `marts` judges it there, and only then can it be published: the file that
    everybody reads is replaced in one step.

    \b
    Examples:
      c360 warehouse build
      c360 quality gate marts
      c360 warehouse publish
      c360 warehouse sql "select lifecycle_stage, count(*) from marts.dim_profiles group by all"
    """


@group.command("build")
@click.option("--select", metavar="SELECTION", help="Only these dbt nodes, on a copy of the published warehouse.")
@click.option(
    "--as-of", type=MOMENT, help="As it was at this moment, UTC, in a file of its own that is never published."
)
@click.option("--pin", metavar="RUN_ID", help="From the table versions that this run's build has read; its moment too.")
@click.option(
    "--incremental", is_flag=True, help="Only what has changed since the published build; whole where that cannot be."
)
@pass_context
def build_command(
    context: Context, select: str | None, as_of: datetime | None, pin: str | None, *, incremental: bool
) -> None:
    """Run `dbt build` (models, contracts, tests) into the private file.

    Exit code 3 when a data test stops it. Running it again on unchanged input gives equal tables.

    \b
    Examples:
      c360 warehouse build
      c360 warehouse build --select "source:lake.gold_recommendations+"
      c360 warehouse build --incremental
      c360 warehouse build --as-of 2018-01-01T00:00:00Z
      c360 warehouse build --as-of 2018-01-01T00:00:00Z --pin manual-0123456789ab
      C360_DBT_TARGET=spark c360 warehouse build      on Spark, into Delta tables
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.build import build, build_as_of
    from jobs.warehouse.paths import spark_warehouse

    if as_of or pin:
        if select or incremental:
            raise UsageError("--select and --incremental go with the published warehouse, not with --as-of and --pin")
        with stage(context, "warehouse.build_as_of") as current:
            file = build_as_of(context, current, as_of and as_of.replace(tzinfo=UTC), pin)
        click.echo(f"as of {current.details['as_of']}: {file}")
        return
    if select and incremental:
        raise UsageError("--select names what to build, --incremental builds what has changed; give one of them")
    with stage(context, "warehouse.build") as current:
        build_id = build(context, current, select=select, incremental=incremental)
    if whole := current.details.get("whole"):
        click.echo(f"built whole: {whole}")
    nodes = current.details.get("dbt_nodes")
    counts = ", ".join(f"{n} {kind}s" for kind, n in sorted(nodes.items())) if isinstance(nodes, dict) else ""
    if context.settings.dbt_target == "spark":
        click.echo(f"build {build_id}: {counts}; Delta tables below {spark_warehouse(context.settings)}")
    else:
        click.echo(f"build {build_id}: {counts}; next: c360 quality gate marts")


@group.command("backfill")
@click.option("--from", "first", type=DAY, required=True, help="First day, UTC.")
@click.option("--to", "last", type=DAY, required=True, help="Last day; it must have ended.")
@click.option("--pin", required=True, metavar="RUN_ID", help="From the table versions that this run's build has read.")
@click.option("--most", type=click.IntRange(1, 366), default=7, show_default=True, help="Days to build in this run.")
@pass_context
def backfill_command(context: Context, first: datetime, last: datetime, pin: str, most: int) -> None:
    """Build the warehouse as it was at the end of each day, a file per day; days that are there are left alone.

    Run it again until nothing is left: it goes on where it stopped, also after a crash, and comes to the same tables.

    \b
    Examples:
      c360 warehouse backfill --from 2017-12-01 --to 2017-12-31 --pin manual-0123456789ab
      c360 warehouse backfill --from 2017-12-01 --to 2017-12-31 --pin manual-0123456789ab --most 31
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.backfill import backfill

    with stage(context, "warehouse.backfill") as current:
        done = backfill(context, first.date(), last.date(), pin=pin, most=most)
        current.details |= {"pin": pin, "built": done.built, "left": len(done.left)}
    rest = f"; {len(done.left)} left, from {done.left[0]}: run it again" if done.left else "; all days are there"
    click.echo(f"built {len(done.built)} days, {len(done.there)} were there{rest}")


@group.command("publish")
@pass_context
def publish_command(context: Context) -> None:
    """Swap the private build onto the published file, if the gate `marts` has passed it.

    \b
    Examples:
      c360 warehouse publish
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.publish import publish

    with stage(context, "warehouse.publish") as current:
        done = publish(context.settings)
        current.details |= {"build_id": done.build_id, "sha256": done.sha256, "epoch": done.epoch}
    click.echo(f"build {done.build_id} is published: {context.settings.warehouse_file}")


@group.command("rollback")
@click.argument("build_id", required=False)
@pass_context
def rollback_command(context: Context, build_id: str | None) -> None:
    """Publish the build before the present one again, or the one named. Run twice, it goes back once.

    The next build that is published takes its place as usual: stop the DAGs, or mend what was wrong, first.

    \b
    Examples:
      c360 warehouse rollback
      c360 warehouse rollback 3f0c8a      the full id, e.g. to go forward again
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.rollback import rollback

    with stage(context, "warehouse.rollback") as current:
        done = rollback(context.settings, build_id)
        current.details |= {"build_id": done.build_id, "withdrawn": done.withdrawn, "epoch": done.epoch}
    instead = f", instead of {done.withdrawn}" if done.withdrawn else ""
    click.echo(f"build {done.build_id} is published{instead}: {context.settings.warehouse_file}")


@group.command()
@click.option("--repair", "mend", is_flag=True, help="Put it right; rebuild from the lake where that is what it takes.")
@pass_context
def doctor(context: Context, mend: bool) -> int:
    """Examine the published warehouse: its sha256, every value of every table, what a crash has left, the room on the disk.

    Exit code 1 when readers are affected. The warehouse can always be built anew from the lake, to equal tables at an equal
    clock.

    \b
    Examples:
      c360 warehouse doctor
      c360 warehouse doctor --repair
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.doctor import diagnose
    from jobs.warehouse.repair import repair

    found = diagnose(context.settings)
    if mend and found:
        with stage(context, "warehouse.repair") as current:
            current.details["findings"] = [finding.what for finding in found]
            for line in repair(context.settings, found):
                click.echo(f"repair      {line}")
        found = diagnose(context.settings)
    for finding in found:
        click.echo(f"{finding.kind:<10}  {finding}")
    blocking = sum(finding.blocks for finding in found)
    click.echo("the published warehouse is whole" if not blocking else f"{blocking} findings affect readers")
    return int(blocking > 0)


@group.command("export")
@click.option("--to", required=True, metavar="PLACE", help="A folder, or s3://BUCKET/PREFIX.")
@click.option("--format", "_", type=click.Choice(["parquet"]), default="parquet", show_default=True)
@click.option("--keep", type=click.IntRange(1), default=2, show_default=True, help="Builds to leave in a folder.")
@pass_context
def export_command(context: Context, to: str, _: str, keep: int) -> None:
    """Copy the public marts of the published build to Parquet, for tools that do not read DuckDB.

    Each build gets a folder of its own; current.json names the one to read and moves last. In a bucket nothing is deleted.

    \b
    Examples:
      c360 warehouse export --to /srv/bi/c360
      c360 warehouse export --to s3://company-bi/c360
    """
    from jobs.lake.runs import stage
    from jobs.warehouse.export import export
    from jobs.warehouse.export_places import place_of

    with stage(context, "warehouse.export") as current:
        done = export(context.settings, place_of(context.settings, to, keep=keep))
        current.rows_out = done.rows
        current.details |= {"build_id": done.build_id, "to": to, "marts": len(done.marts)}
    click.echo(f"build {done.build_id}: {len(done.marts)} marts, {done.rows:,} rows at {to}")


@group.command()
@click.argument("query")
@click.option("--json", "style", flag_value="json", help="One JSON object per row.")
@click.option("--csv", "style", flag_value="csv", help="Comma-separated, with a header.")
@click.option("--limit", default=100, show_default=True, help="Most rows of the printed table; not for --json, --csv.")
@pass_context
def sql(context: Context, query: str, style: str | None, limit: int) -> None:
    """Query the published warehouse, read-only; files, network and settings are out of reach.

    One SELECT, of at most C360_QUERY_SECONDS and C360_DUCKDB_MEMORY.

    \b
    Examples:
      c360 warehouse sql "select * from marts.dim_profiles limit 5"
      c360 warehouse sql --csv "from marts.kpi_daily order by kpi_date"
    """
    from jobs.warehouse.query import answering, render

    with answering(context.settings, query) as (names, rows):
        for line in render(names, rows, style=style or "table", limit=limit):
            click.echo(line)


@group.command()
@pass_context
def tables(context: Context) -> None:
    """List the published tables with their rows.

    \b
    Examples:
      c360 warehouse tables
    """
    from jobs.warehouse.query import list_tables, render

    for line in render(*list_tables(context.settings), style="table", limit=1000):
        click.echo(line)


@group.command()
@click.option(
    "--to", type=click.Path(file_okay=False), default="docs-site", show_default=True, help="Folder of the page."
)
@pass_context
def docs(context: Context, to: str) -> None:
    """Write the dbt docs as one HTML file: models, columns, tests, lineage, and who uses what.

    \b
    Examples:
      c360 warehouse docs --to /srv/docs/c360
    """
    from jobs.warehouse.docs import write_docs

    click.echo(f"written: {write_docs(context.settings, context.clock.now(), Path(to))}")
