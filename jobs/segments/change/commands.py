"""`c360 segments explain` and `c360 segments diff`: why somebody is in a segment, and what a change would do."""

from pathlib import Path

import click

from jobs.core.command import hint, pass_context
from jobs.core.context import Context
from jobs.core.errors import UsageError


@click.command()
@click.argument("profile")
@click.argument("segment")
@pass_context
def explain(context: Context, profile: str, segment: str) -> None:
    """Say why PROFILE is in SEGMENT, or why not: every part of the rule with its value and the events that it counts.

    By the definitions as they stand now, over the published warehouse, as of its moment.

    \b
    Example:
      c360 segments explain p_0f2c8a61e5b94d7f3a1c2e88 cart_abandoners
    """
    from jobs.segments.change.markdown import tree
    from jobs.segments.change.reasons import explained
    from jobs.segments.language.catalogue import load

    catalogue = load(context.settings.project_root)
    if segment not in catalogue.segments:
        raise UsageError(f"no segment {segment!r}.{hint(segment, sorted(catalogue.segments))}")
    found = explained(context.settings, catalogue, segment, profile)
    if found is None:
        raise UsageError(f"no profile {profile!r} in the published warehouse; ids begin with p_")
    click.echo("\n".join(tree(found)))


@click.command()
@click.argument("base")
@click.argument("head", required=False)
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), help="Ask this share of the profiles only.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the report here instead.")
@pass_context
def diff(context: Context, base: str, head: str | None, sample: float | None, out: Path | None) -> None:
    """Compare the definitions of BASE with those of HEAD over the published warehouse, as Markdown for a pull request.

    Each is a branch, a tag or a commit of the project's repository, or a folder of definitions; HEAD is the files as they
    stand when it is left out. Told are who enters and leaves, sizes, overlaps, other winners of priority lists, the syncs
    that send a segment that changes, and the reasons of some.

    \b
    Examples:
      c360 segments diff main
      c360 segments diff main my_branch --sample 0.1 --out diff.md
      c360 segments diff ~/before/definitions dbt_project/definitions
    """
    from jobs.segments.change.reasons import difference
    from jobs.segments.change.versions import catalogue_of
    from jobs.segments.language.catalogue import load

    settings = context.settings
    after = catalogue_of(settings, head) if head else load(settings.project_root)
    text = difference(settings, catalogue_of(settings, base), after, sample)
    if out is None:
        click.echo(text)
    else:
        out.write_text(text, encoding="utf-8")
        click.echo(f"written to {out}")
