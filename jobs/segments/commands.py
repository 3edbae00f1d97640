"""`c360 segments …`: compile the definitions, list them, count their members."""

import click

from jobs.core.command import HintingGroup, hint, pass_context
from jobs.core.context import Context
from jobs.core.definitions import SegmentHeader, load_segments
from jobs.core.errors import PermanentError, UsageError


@click.group(cls=HintingGroup)
def group() -> None:
    """Compile segment definitions to dbt models.

    A segment is one YAML file in dbt_project/definitions/segments: a name, a description, and a rule over the traits of
    dim_profiles. The dbt models made from them are committed; `compile --check` tells when they do not match.

    \b
    Examples:
      c360 segments list
      c360 segments preview coupon_lovers     count the members before you build
      c360 segments compile                   write the dbt models, their tests, the macro
      c360 segments compile --check           change nothing, exit 1 on drift
    """


@group.command("compile")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and name the files that differ.")
@pass_context
def compile_command(context: Context, check: bool) -> None:
    """Write the dbt model of each segment, their schema YAML and the macro segment_names."""
    from jobs.segments.render import drift, render, stale

    root = context.settings.project_root
    files = render(load_segments(root))
    differing = drift(root, files)
    if check and differing:
        names = ", ".join(path.as_posix() for path in differing)
        raise PermanentError(f"differs from the definitions: {names}; run: c360 segments compile")
    for path in () if check else stale(root, files):
        (root / path).unlink()
    for path in () if check else sorted(set(differing) & set(files)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    click.echo(f"{len(files)} files match" if check else f"{len(differing)} files changed, {len(files)} in all")


@group.command("list")
@pass_context
def list_command(context: Context) -> None:
    """List the segments with what they are for."""
    for name, header in load_segments(context.settings.project_root).items():
        click.echo(f"{name:22} {' '.join(header.description.split())}")


@group.command()
@click.argument("name")
@pass_context
def preview(context: Context, name: str) -> None:
    """Count the members of a segment on the published warehouse, by its definition as it stands now.

    \b
    Example:
      c360 segments preview lapsing_customers
    """
    header = _segment(context, name)
    from jobs.segments.preview import count_members

    click.echo(count_members(context.settings, header))


def _segment(context: Context, name: str) -> SegmentHeader:
    segments = load_segments(context.settings.project_root)
    if name not in segments:
        raise UsageError(f"no segment {name!r}.{hint(name, list(segments))}")
    return segments[name]
