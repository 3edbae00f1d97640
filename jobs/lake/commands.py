"""`c360 lake …`: the Delta tables and the Spark jars."""

import click

from jobs.core.catalog import TABLES
from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Delta tables and the Spark jars.

    \b
    Examples:
      c360 lake tables          every table: rows, version, path
      c360 lake migrate         bring tables of an older c360 to today's contracts
      c360 lake fetch-jars      bring the Spark jars into C360_HOME/jars, checked
    """


@group.command()
@pass_context
def init(context: Context) -> None:
    """Create every declared table that is missing, empty. Safe to repeat."""
    from jobs.lake.delta import ensure_all

    created = ensure_all(context.settings)
    click.echo(f"{len(created)} tables created, {len(TABLES) - len(created)} were there")


@group.command()
@pass_context
def tables(context: Context) -> None:
    """List the tables with their rows and Delta version."""
    from jobs.lake.delta import version
    from jobs.lake.duck import lake_connection

    connection = lake_connection(context.settings)
    for name, table in TABLES.items():
        if not (table.path(context.settings) / "_delta_log").exists():
            click.echo(f"{name:24} not created yet")
            continue
        rows = connection.execute(f"select count(*) from {name}").fetchall()[0][0]
        click.echo(f"{name:24} {rows:>12,} rows  version {version(context.settings, name):>4}  lake/{table.folder}")


@group.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@pass_context
def migrate(context: Context, dry_run: bool) -> int:
    """Add to each table the columns and properties that its contract has and the table has not. Safe to repeat.

    Exit code 1, with nothing done, when a column's type differs or a newer c360 has written a table.

    \b
    Examples:
      c360 lake migrate --dry-run
      c360 lake migrate
    """
    from jobs.lake.locks import ingest_lock
    from jobs.lake.migrate import carry_out, plans
    from jobs.lake.runs import stage

    if dry_run:
        found = plans(context.settings)
    else:
        with ingest_lock(context.settings):
            found = plans(context.settings)
            carry_out(context.settings, found)
            if found:
                with stage(context, "lake.migrate") as record:
                    record.details = {one.table: one.lines() for one in found}
    for line in (line for one in found for line in one.lines()):
        click.echo(("would do  " if dry_run else "done  ") + line)
    click.echo(f"{len(found)} tables {'differ from' if dry_run else 'brought to'} their contracts")
    return int(any(one.refused for one in found))


@group.command("fetch-jars")
@click.option(
    "--kafka", is_flag=True, help="Those for Kafka too; by themselves where C360_KAFKA_BOOTSTRAP_SERVERS is set."
)
@pass_context
def fetch_jars(context: Context, kafka: bool) -> None:
    """Bring the Spark jars into C360_HOME/jars and check their sha256 sums. The only command that needs a network."""
    from jobs.lake.jars import DELTA, KAFKA, fetch, groups_of

    groups = (DELTA, KAFKA) if kafka else groups_of(context.settings)
    count = sum(len(fetch(context.settings, group)) for group in groups)
    click.echo(f"{count} jars verified in {context.settings.home / 'jars'}")


@group.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 when docs/data.md has drifted from the contracts.")
@pass_context
def document(context: Context, check: bool) -> int:
    """Write docs/data.md: every table with its grain and columns, from the contracts."""
    from jobs.lake.document import write_page

    same = write_page(context.settings, check=check)
    if check and not same:
        click.echo("docs/data.md differs from the contracts; run: c360 lake document", err=True)
        return 1
    return 0
