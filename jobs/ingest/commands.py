"""`c360 ingest …`: from landing files to silver and quarantine."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Landing files to bronze, silver and quarantine.

    \b
    Examples:
      c360 ingest run           load everything new in C360_HOME/landing
      c360 ops balance          what became of every message
    """


@group.command()
@click.option(
    "--retry-refused", is_flag=True, help="Look again at files refused before, e.g. after a contract was mended."
)
@pass_context
def run(context: Context, retry_refused: bool) -> int:
    """Load everything new in landing/, then stop. Safe to repeat.

    Exit code 4 says that the good files are in and some file was refused; `c360 ops landing` names it and why.
    """
    from jobs.ingest.run import run_ingest

    code = run_ingest(context, retry_refused=retry_refused)
    if code:
        click.echo("ingest: done, some files were refused; see `c360 ops landing`", err=True)
    return int(code)
