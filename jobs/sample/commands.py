"""`c360 sample …`: the default input, so that the product can be tried without data of one's own."""

from dataclasses import replace

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.sample.listing import file_table


@click.group(cls=HintingGroup)
def group() -> None:
    """Make the default input: public retail data as messages, plus a simulated layer named so.

    \b
    Examples:
      c360 sample generate                    all 2,469 households, about a minute
      c360 sample generate --households 60    a small sample, a few seconds
      c360 sample describe                    what was planted: duplicates, late, broken, suppressed
    """


@group.command("generate")
@click.option(
    "--households",
    type=click.IntRange(min=1),
    help="Take only this many households.  [C360_SAMPLE_HOUSEHOLDS, default all]",
)
@click.option("--force", is_flag=True, help="Make it again, also over another sample in this home.")
@pass_context
def generate_command(context: Context, households: int | None, force: bool) -> None:
    """Write the sample into C360_HOME/landing. Safe to repeat: the same sample is left alone.

    The sample is looked at from 2018-01-02T00:00Z; a home without a settings.yml gets one with that clock.

    \b
    Examples:
      c360 sample generate
      c360 --home /tmp/small sample generate --households 60
    """
    from jobs.core.clock import Clock
    from jobs.lake.runs import stage
    from jobs.sample.generate import generate, set_clock
    from jobs.sample.shares import SAMPLE_NOW

    settings = context.settings
    if set_clock(settings):
        now = settings.now or SAMPLE_NOW  # C360_NOW, when set, goes before the file
        settings = settings.model_copy(update={"now": now})
        context = replace(context, settings=settings, clock=Clock(now))
        click.echo(
            f"clock: {settings.home / 'settings.yml'} now says {SAMPLE_NOW:%Y-%m-%dT%H:%MZ}, for every command in this home"
        )
    elif settings.now is None:
        click.echo(f"clock: settings.yml has no `now`; the sample is made for {SAMPLE_NOW:%Y-%m-%dT%H:%MZ}", err=True)
    click.echo(f"seed: {settings.seed}")
    households = households or settings.sample_households
    with stage(context, "sample.generate") as current:
        sample = generate(settings, households, force=force)
        current.rows_out = sample.messages
        current.details = {
            "seed": settings.seed,
            "households": households,
            "files": len(sample.written),
            "is_new": sample.is_new,
        }
    for row in file_table(sample.written):
        click.echo(row)
    click.echo("written" if sample.is_new else "nothing to do: this sample is there already")


@group.command()
@pass_context
def describe(context: Context) -> None:
    """Print the plan as JSON: stated shares, files, and the counts planted, to compare a pipeline's results with."""
    from jobs.sample.generate import read_plan

    click.echo(read_plan(context.settings), nl=False)
