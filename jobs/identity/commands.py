"""`c360 identity …`: resolve identifiers to profiles, and say why two identifiers belong together."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Resolve identifiers to profiles, explain a profile.

    Identifiers seen in one event or record belong together; chains of them make a profile. Its id stays: new evidence
    may merge profiles, and then the oldest id lives on, the other redirects to it, and the ledger says why.
    What may link, and how far, stands in jobs/identity/rules.yml.

    \b
    Examples:
      c360 identity run                              after each ingest
      c360 identity explain p_4fd1c2a90b7e55d0a1b2c3d4
      c360 identity explain loyalty_id:1228
    """


@group.command("run")
@pass_context
def run_command(context: Context) -> None:
    """Resolve all identifiers; write profile_identifiers, profile_redirects and the ledger.

    Running it again on the same events changes nothing.
    """
    from jobs.core.token_lock import tokens_in_use
    from jobs.identity.runner import run
    from jobs.lake.runs import stage

    with tokens_in_use(context.settings), stage(context, "identity.run") as current:
        figures = run(context, current)
    click.echo(
        "{identifiers:,} identifiers in {profiles:,} profiles: {creates:,} created, {merges:,} merged, "
        "{splits:,} split; {shared_identifiers:,} shared identifiers stand alone ({links_cut:,} links cut)".format(
            **figures
        )
    )


@group.command()
@click.argument("subject", metavar="PROFILE_ID|[TYPE:]IDENTIFIER")
@click.option(
    "--limit", type=click.IntRange(min=1), default=25, show_default=True, help="Most links and ledger entries to print."
)
@pass_context
def explain(context: Context, subject: str, limit: int) -> None:
    """Print what a profile is made of: identifiers, the links between them, the events that prove them, its history.

    E-mail and phone are shown as tokens.

    \b
    Examples:
      c360 identity explain p_4fd1c2a90b7e55d0a1b2c3d4
      c360 identity explain user_id:U-1228
    """
    from jobs.identity.explain import explain_lines

    for line in explain_lines(context.settings, subject, limit):
        click.echo(line)
