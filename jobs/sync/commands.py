"""`c360 sync …`: from the warehouse to destinations."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import GateError
from jobs.core.settings import Settings


@click.group(cls=HintingGroup)
def group() -> None:
    """Carry segments to destinations: plan what changed, deliver it, keep what was acknowledged.

    \b
    Examples:
      c360 sync list
      c360 sync plan sync_file_drop_profiles       what a run would send; sends nothing
      c360 sync run sync_file_drop_profiles        send the difference
      c360 sync explain sync_file_drop_profiles PROFILE
    """


@contextmanager
def _warehouse(settings: Settings) -> Iterator[Any]:
    from jobs.warehouse.reader import open_published

    connection = open_published(settings)
    try:
        yield connection
    finally:
        connection.close()


@group.command("list")
@pass_context
def list_syncs(context: Context) -> None:
    """List the syncs: what goes where, on what occasion, and how many rows are there."""
    from jobs.core.definitions import load_syncs
    from jobs.sync.outbox import held, open_outbox

    with open_outbox(context.settings) as outbox:
        for header in load_syncs(context.settings.project_root).values():
            there = len(held(outbox.history(header.name)))
            occasion = f"on {header.asset}" if header.asset else f"at {header.schedule}"
            what = f"{header.relation}{f' ({header.segment})' if header.segment else ''}"
            click.echo(f"{header.name}: {what} -> {header.destination}, {occasion}, {there} rows acknowledged")


@group.command()
@click.argument("name")
@pass_context
def plan(context: Context, name: str) -> None:
    """Show what a run would send, and whether the guard would let it. A dry run: nothing is sent or acknowledged.

    \b
    Examples:
      c360 sync plan sync_file_drop_profiles
    """
    from jobs.sync.outbox import open_outbox
    from jobs.sync.outcomes import Operation
    from jobs.sync.runner import check, find_sync, prepare

    header = find_sync(context.settings, name)
    with _warehouse(context.settings) as connection, open_outbox(context.settings) as outbox:
        prepared = prepare(context, header, connection, outbox)
    counts = ", ".join(f"{prepared.plan.count(operation)} to {operation}" for operation in Operation)
    withheld = len(prepared.desired.withheld)
    click.echo(f"{name}: {counts}, {prepared.plan.unchanged} unchanged, {withheld} withheld; dry run, nothing sent")
    try:
        check(header, prepared)
        click.echo("guard: would let it pass")
    except GateError as error:
        click.echo(f"guard: would stop it: {error}")


@group.command()
@click.argument("name")
@click.option("--approve-first-run", is_flag=True, help="Let a held first run pass, after a look at the plan.")
@pass_context
def run(context: Context, name: str, approve_first_run: bool) -> None:
    """Send what changed since it was last acknowledged; exit code 3 when the guard stops it.

    Running it again on the same data sends nothing. Consent and suppression are checked again at this moment.

    \b
    Examples:
      c360 sync run sync_file_drop_profiles
    """
    from jobs.lake.runs import stage
    from jobs.sync.outcomes import Outcome
    from jobs.sync.runner import find_sync, run_sync

    header = find_sync(context.settings, name)
    with stage(context, f"sync.run_{name.removeprefix('sync_')}") as st, _warehouse(context.settings) as connection:
        outcomes = run_sync(context, header, connection, approved=approve_first_run)
        counts = Counter(f"{row.operation}_{row.outcome}" for row in outcomes)
        st.rows_in = sum(row.outcome is not Outcome.SKIPPED for row in outcomes)
        st.rows_out = sum(row.outcome is Outcome.DELIVERED for row in outcomes)
        st.details = dict(sorted(counts.items()))
    shown = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in sorted(counts.items()))
    click.echo(f"{name}: {shown or 'nothing to send'}")


@group.command("explain")
@click.argument("name")
@click.argument("profile")
@pass_context
def explain_profile(context: Context, name: str, profile: str) -> None:
    """Say why a profile is, or is not, at the destination of a sync. Shows states, never values.

    \b
    Examples:
      c360 sync explain sync_file_drop_profiles p_0a1b2c
    """
    from jobs.sync.explain import explain
    from jobs.sync.outbox import open_outbox
    from jobs.sync.runner import find_sync

    header = find_sync(context.settings, name)
    with _warehouse(context.settings) as connection, open_outbox(context.settings) as outbox:
        for line in explain(context, header, connection, outbox, profile):
            click.echo(line)
