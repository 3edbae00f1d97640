"""`c360 segments test`: scenario files on a simulated clock."""

from pathlib import Path

import click

from jobs.core.command import pass_context
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError


@click.command("test")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILE…]")
@click.option("--all", "all_files", is_flag=True, help="Every file in dbt_project/definitions/scenarios.")
@pass_context
def test_command(context: Context, files: tuple[Path, ...], all_files: bool) -> None:
    """Play scenario files: events and jumps of a clock, and the members, changes and decisions expected of them.

    Each is held against the warehouse's query and the stream's evaluator, in this process and without a lake. Exit 1 when an
    expectation is not met, with what was expected, what was found, and why.

    \b
    Examples:
      c360 segments test --all
      c360 segments test dbt_project/definitions/scenarios/cart_abandonment.yml
    """
    from jobs.lake.duck import connect
    from jobs.segments.language.catalogue import load as load_catalogue
    from jobs.segments.scenarios import files as scenarios
    from jobs.segments.scenarios.play import play
    from jobs.segments.triggers.files import load as load_book

    root = context.settings.project_root
    if all_files == bool(files):
        raise UsageError("name the files, or say --all; for example: c360 segments test --all")
    catalogue = load_catalogue(root)
    world = scenarios.World(catalogue, load_book(root, catalogue))
    paths = sorted((root / scenarios.SCENARIOS).glob("*.yml")) if all_files else list(files)
    found = scenarios.load(paths, world)
    missed = expectations = 0
    engines = connect(context.settings), connect(context.settings)
    for file in found:
        played = play(file, world, engines)
        missed, expectations = missed + len(played.failures), expectations + played.expectations
        click.echo(f"{'FAILED' if played.failures else 'ok':7}{played.name:32} {played.expectations} expectations")
        for failure in played.failures:
            click.echo(f"  {failure}")
    if missed:
        raise PermanentError(f"{missed} statements of {len(paths)} scenarios were not met")
    click.echo(f"{len(paths)} scenarios, {expectations} expectations, both engines")
