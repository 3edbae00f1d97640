"""`c360 ops …`: what happened, from the `ops_*` tables of the lake."""

import dataclasses
import json
from datetime import date, datetime

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
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only messages received on or after this UTC day.")
@click.option("--by-hour", is_flag=True, help="One line per source and hour of receipt.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of text.")
@pass_context
def balance(context: Context, since: datetime | None, by_hour: bool, as_json: bool) -> None:
    """Count now, per source: received = accepted + duplicate + quarantined + suppressed + in flight.

    Every message is looked up in the tables, so that one lost and one doubled do not make a right sum. Exact while the
    streams run. Exit code 3 when the sum is off for a source, or when nothing has been received. Kafka records that were
    never received, by a gap that a person has accepted, are named below the table.

    \b
    Examples:
      c360 ops balance
      c360 ops balance --since 2018-01-01 --by-hour
      c360 ops balance --json
    """
    from jobs.ingest.balance import by_source, hourly_balance
    from jobs.lake.delta import ensure_all
    from jobs.pipeline.render import render_balance

    ensure_all(context.settings)
    hours = hourly_balance(context.settings, since.date() if since else date.min)
    rows = hours if by_hour else by_source(hours)
    if not rows:
        raise GateError("no message has been received yet; run: c360 ingest run")
    click.echo(json.dumps(rows, default=str) if as_json else "\n".join(render_balance(rows)))
    if not as_json:
        _echo_accepted_gaps(context)
    wrong = sorted({str(row["source"]) for row in rows if not row["is_balanced"]})
    if wrong:
        raise GateError(f"the balance is off for {', '.join(wrong)}; `c360 ops balance --by-hour` says since when")


def _echo_accepted_gaps(context: Context) -> None:
    from jobs.ingest.kafka.ledger import accepted_gaps
    from jobs.ingest.kafka.render import accepted_line

    for row in accepted_gaps(context.settings):
        click.echo(accepted_line(row))


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
    from jobs.pipeline.summary import last_of

    rows = in_commit_order(context.settings, "ops_landing_manifest")
    rows = list(last_of(rows, lambda row: (row["source"], row["file_name"]))) if refused else rows
    shown = [row for row in rows if not refused or row["status"] in ("rejected", "held", "waiting", "vanished")]
    for row in shown:
        why = f"  {row['reason'] or ''}: {row['details']}" if row["status"] != "loaded" else ""
        click.echo(f"{row['status']:<9} {row['row_count']:>9,} rows  {row['source']}/{row['file_name']}{why}")
    click.echo(f"{len(shown)} files" if shown else "no such files")
