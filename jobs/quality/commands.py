"""`c360 quality …`: the gates."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import UsageError


@click.group(cls=HintingGroup)
def group() -> None:
    """Gates: check tables against their contracts, stop the flow when one is broken.

    \b
    Examples:
      c360 quality gate silver     before profiles are built
      c360 quality gate marts      between build and publish, on the private build
      c360 quality gate scores     before scores reach the warehouse
      c360 quality show            results of the last gate
    """


@group.command()
@click.argument("name", metavar="silver|marts|scores")
@pass_context
def gate(context: Context, name: str) -> None:
    """Judge the tables of one gate; exit code 3 when it blocks.

    Every result goes to ops_quality_results, as counts, never as values. A broken expectation of severity `critical`
    blocks; so do an empty table, an empty suite, an expectation without a result and an error of the engine.

    \b
    Examples:
      c360 quality gate silver
    """
    from jobs.lake.runs import stage
    from jobs.quality.gates import find_gate
    from jobs.quality.runner import run_gate

    found = find_gate(name)
    with stage(context, f"quality.gate_{found.name}") as st:
        verdicts = run_gate(context, found)
        checks = [result for verdict in verdicts for result in verdict.results]
        st.rows_in = sum(r.rows or 0 for r in checks if r.name == "row_count")
        st.rows_out = st.rows_in
        warnings = sum(len(verdict.warnings) for verdict in verdicts)
        st.details = {"tables": len(verdicts), "checks": len(checks), "warnings": warnings}
    click.echo(f"gate {found.name} passed: {len(verdicts)} tables, {len(checks)} checks, {warnings} warnings")


@group.command()
@click.option("--run", "run_id", help="Results of this run; the last recorded one by default.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@pass_context
def show(context: Context, run_id: str | None, failed: bool) -> None:
    """Show the recorded results of a run: each expectation, what was seen and what was expected.

    \b
    Examples:
      c360 quality show --failed
    """
    from jobs.quality.results import results_of

    rows = results_of(context.settings, run_id)
    if not rows:
        raise UsageError(f"no gate results{f' of run {run_id}' if run_id else ''}; run: c360 quality gate silver")
    for row in rows:
        if failed and row.is_success:
            continue
        mark = "ok" if row.is_success else row.severity
        click.echo(
            f"{mark:8} {row.gate:7} {row.table_name}  {row.expectation}  {row.observed}  (expected {row.expected})"
        )
    broken = sum(not row.is_success for row in rows)
    click.echo(f"run {rows[0].run_id}: {len(rows)} expectations, {broken} failed")
