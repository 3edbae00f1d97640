"""`c360 ops …`: what happened, from the `ops_*` tables of the lake."""

import dataclasses
import json

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import GateError

MIB = 2**20


@click.group(cls=HintingGroup)
def group() -> None:
    """What happened: summary, balance, runs, landing files.

    \b
    Examples:
      c360 ops summary             figures of the last run, stage by stage, and what there is now
      c360 ops summary --json      the same for programs
      c360 ops balance             what became of every message; exit code 3 when the sum is off
    """


@group.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@pass_context
def summary(context: Context, as_json: bool) -> None:
    """Show each stage's last run, the balance, profiles, segments, models and an example profile.

    \b
    Examples:
      c360 ops summary --json | python -m json.tool
    """
    from jobs.pipeline.render import render
    from jobs.pipeline.summary import collect

    found = collect(context.settings)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), default=str, ensure_ascii=False))
        return
    click.echo(render(found))
    if found.refused_files:
        click.echo(f"\n{len(found.refused_files)} input files were refused: c360 ops landing")


@group.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of text.")
@pass_context
def balance(context: Context, as_json: bool) -> None:
    """Show per source: received = accepted + duplicate + quarantined + suppressed + in flight.

    Exit code 3 when the sum is off for a source, or when nothing has been recorded.

    \b
    Examples:
      c360 ops balance
    """
    from jobs.pipeline.render import render_balance
    from jobs.pipeline.summary import latest_balance

    rows = latest_balance(context.settings)
    if not rows:
        raise GateError("no balance has been recorded yet; run: c360 ingest run")
    click.echo(json.dumps(rows, default=str) if as_json else "\n".join(render_balance(rows)))
    wrong = [str(row["source"]) for row in rows if not row["is_balanced"]]
    if wrong:
        raise GateError(f"the balance is off for {', '.join(wrong)}; compare bronze and silver of these sources")


@group.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(min=1), help="How many stages to show.")
@pass_context
def runs(context: Context, last: int) -> None:
    """Show the last stages that ran, newest at the bottom.

    \b
    Examples:
      c360 ops runs --last 50
    """
    from jobs.lake.oplog import in_commit_order
    from jobs.pipeline.render import number

    for row in in_commit_order(context.settings, "ops_runs")[-last:]:
        rows = f"{number(row['rows_in'])} → {number(row['rows_out'])}"
        seconds, mib = float(str(row["seconds"])), int(str(row["peak_memory_bytes"])) / MIB
        click.echo(
            f"{row['run_id']:<60} {row['stage']:<20} {row['status']:<14} {rows:>24} {seconds:>8.1f} s {mib:>7,.0f} MiB"
        )


@group.command()
@click.option("--refused", is_flag=True, help="Only files that were refused.")
@pass_context
def landing(context: Context, refused: bool) -> None:
    """Show every landing file and what became of it.

    \b
    Examples:
      c360 ops landing --refused
    """
    from jobs.lake.oplog import in_commit_order

    rows = in_commit_order(context.settings, "ops_landing_manifest")
    shown = [row for row in rows if not refused or row["status"] == "rejected"]
    for row in shown:
        why = f"  {row['reason']}: {row['details']}" if row["status"] == "rejected" else ""
        click.echo(f"{row['status']:<9} {row['row_count']:>9,} rows  {row['source']}/{row['file_name']}{why}")
    click.echo(f"{len(shown)} files" if shown else "no such files")
