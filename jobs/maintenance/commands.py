"""`c360 maintain …`: small files together, raw payloads past their time gone, old files gone. Safe beside the streams."""

import click

from jobs.core.catalog import TABLES, lake_table
from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Keep the lake small and its raw payloads no longer than promised. Safe while `c360 ingest run --continuous` runs.

    \b
    Examples:
      c360 maintain run                   all three, in the right order (what the DAG does daily)
      c360 maintain retain --dry-run      which days and files are past retention_days
      c360 maintain compact silver_events
      c360 maintain vacuum --dry-run      which files no version, reader or stream needs
    """


def _meant(names: tuple[str, ...]) -> list[str]:
    return [lake_table(name).name for name in names] or list(TABLES)


@group.command()
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@pass_context
def compact(context: Context, tables: tuple[str, ...]) -> None:
    """Join small files, where at least `compact_min_files` lie in one partition. Changes no row.

    \b
    Examples:
      c360 maintain compact
      c360 maintain compact silver_events bronze_messages
    """
    from jobs.maintenance.runner import run_compact

    for done in run_compact(context, _meant(tables)):
        click.echo(f"{done.table:24} {done.before:>6,} small files → {done.after:,}")


@group.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@pass_context
def retain(context: Context, dry_run: bool) -> None:
    """Take raw payloads past `retention_days` out of bronze, quarantine, sealed and landing files. The balance keeps count.

    \b
    Examples:
      c360 maintain retain --dry-run
      C360_RETENTION_DAYS=14 c360 maintain retain
    """
    from jobs.maintenance.runner import run_retain

    for line in run_retain(context, rehearsal=dry_run):
        click.echo(line)


@group.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.argument("tables", nargs=-1, metavar="[TABLE]...")
@pass_context
def vacuum(context: Context, tables: tuple[str, ...], dry_run: bool) -> None:
    """Remove files that no version within the floor, no reader and no stream needs.

    The floor is `vacuum_hours` (168 or more), and a day more than `longest_reader_hours`; nothing lowers it.

    \b
    Examples:
      c360 maintain vacuum --dry-run
      c360 maintain vacuum bronze_messages
    """
    from jobs.maintenance.runner import run_vacuum

    for done in run_vacuum(context, _meant(tables), rehearsal=dry_run):
        click.echo(f"{done.table:24} {done.files:>6,} files {done.bytes / 2**20:>10,.1f} MiB  {done.note}".rstrip())


@group.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Compact, then retain, then vacuum: what is freed by the first two is removed by the third when its time has come."""
    ctx.invoke(compact, tables=())
    ctx.invoke(retain, dry_run=False)
    ctx.invoke(vacuum, tables=(), dry_run=False)
