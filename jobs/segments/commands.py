"""`c360 segments …`: check the definitions, compile them, list them, count their members."""

import dataclasses
import json
from pathlib import Path

import click

from jobs.core.command import HintingGroup, hint, pass_context
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError
from jobs.segments import live_commands
from jobs.segments.change import commands as change_commands
from jobs.segments.scenarios.commands import test_command


@click.group(cls=HintingGroup)
def group() -> None:
    """Check segment definitions and compile them to dbt models.

    A segment is one YAML file in dbt_project/definitions/segments: a name, a description, and a rule over events and traits.
    The dbt models made from them are committed; `compile --check` tells when they do not match.

    \b
    Examples:
      c360 segments check                     every problem of all definitions, with file and line
      c360 segments list                      what each one reads, and when it changes
      c360 segments preview coupon_lovers     count the members before you build
      c360 segments compile                   write the dbt models, their tests, the macro
      c360 segments compile --check           change nothing, exit 1 on drift
      c360 segments test --all                play the scenarios: members and decisions on a simulated clock
      c360 segments stream --continuous       keep members up to date, event by event
    """


@group.command("compile")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and name the files that differ.")
@pass_context
def compile_command(context: Context, check: bool) -> None:
    """Write the dbt models of the definitions, their schema YAML and macros."""
    from jobs.segments.language.catalogue import load
    from jobs.segments.render.files import drift, render, write

    root = context.settings.project_root
    files = render(load(root))
    differing = drift(root, files) if check else write(root, files)
    if check and differing:
        names = ", ".join(path.as_posix() for path in differing)
        raise PermanentError(f"differs from the definitions: {names}; run: c360 segments compile")
    click.echo(f"{len(files)} files match" if check else f"{len(differing)} files changed, {len(files)} in all")


@group.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="[FILE…]")
@pass_context
def check(context: Context, files: tuple[Path, ...]) -> None:
    """Judge all definitions, scenarios too; every problem in a line with file, line and remedy, and exit 1.

    Every file is judged against all others. Of named files alone the problems are told, those elsewhere are counted. Named files
    may lie outside of the project, and then stand in for those of the same name.

    \b
    Examples:
      c360 segments check
      c360 segments check dbt_project/definitions/segments/coupon_lovers.yml
      c360 segments check ~/drafts/segments/coupon_lovers.yml
    """
    from jobs.core.definition_files import label_of
    from jobs.core.definitions import DefinitionError
    from jobs.segments.every_file import judge
    from jobs.segments.language.catalogue import DEFINITIONS

    root = context.settings.project_root
    inside = (root / DEFINITIONS).resolve()
    found = judge(root, [path for path in files if not path.resolve().is_relative_to(inside)])
    labels = {label_of(path.resolve()) for path in files}
    for remark in found.remarks:
        if not labels or remark.label in labels:
            click.echo(f"remark: {remark}", err=True)
    told = [str(problem) for problem in found.problems if not labels or problem.label in labels]
    if hidden := len(found.problems) - len(told):
        told.append(f"problems in other files: {hidden}; to see them: c360 segments check")
    if told:
        raise DefinitionError("\n".join(told))
    click.echo(f"{len(files) or found.count} definitions are right")


@group.command("list")
@click.option("--kind", type=click.Choice(("trait", "segment", "trigger", "journey")), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
@pass_context
def list_command(context: Context, kind: str | None, as_json: bool) -> None:
    """List traits, segments, triggers and journeys: when each one changes, and what it reads.

    `live` changes with events and time, `build` with each build of the warehouse, `live and build` with both. A program finds the
    same keys with each kind.

    \b
    Examples:
      c360 segments list
      c360 segments list --kind trigger
      c360 segments list --json | jq '.[] | select(.speed == "live") | .name'
    """
    from jobs.core.definitions import DefinitionError
    from jobs.segments.language.catalogue import load
    from jobs.segments.language.reads import all_reads
    from jobs.segments.triggers.files import check as check_book

    root = context.settings.project_root
    catalogue = load(root)
    checked = check_book(root, catalogue)
    if checked.problems:
        raise DefinitionError.of(checked.problems)
    messages = (checked.book.triggers, checked.book.journeys) if checked.book else ()
    found = [one for one in all_reads(catalogue, *messages) if kind in (None, one.kind)]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(f"{one.kind:8} {one.name:28} {one.speed:15} {one.everything}")


@group.command()
@click.option("--write", is_flag=True, help="Write the files.")
@pass_context
def schema(context: Context, write: bool) -> None:
    """Compare the committed JSON Schemas of the definitions, which editors use, with the language; exit 1 on drift.

    \b
    Examples:
      c360 segments schema             change nothing, exit 1 on drift
      c360 segments schema --write     after a change of the language
    """
    from jobs.segments.language.schema import drift, render

    root, files = context.settings.project_root, render()
    differing = drift(root, files)
    if differing and not write:
        names = ", ".join(path.as_posix() for path in differing)
        raise PermanentError(f"differs from the language: {names}; run: c360 segments schema --write")
    for path in differing:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    click.echo(f"{len(differing)} files changed, {len(files)} in all" if write else f"{len(files)} files match")


@group.command()
@click.argument("name")
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), help="Ask this share of the profiles only.")
@pass_context
def preview(context: Context, name: str, sample: float | None) -> None:
    """Count the members of a segment, and whom it shares with others, before a build.

    Evaluates the definitions as they stand now over the published warehouse and the lake behind it. A sample takes the same
    profiles each time, and its sampling error is told.

    \b
    Examples:
      c360 segments preview lapsing_customers
      c360 segments preview high_value --sample 0.05
    """
    from jobs.segments.language.catalogue import load
    from jobs.segments.preview.size import preview, spoken

    catalogue = load(context.settings.project_root)
    if name not in catalogue.segments:
        raise UsageError(f"no segment {name!r}.{hint(name, sorted(catalogue.segments))}")
    click.echo(spoken(preview(context.settings, catalogue, name, sample)))


REVIEW = (change_commands.explain, change_commands.diff)
for command in (*REVIEW, live_commands.stream, live_commands.replay, live_commands.evaluate, test_command):
    group.add_command(command)
