"""`c360 sources …`: list, show, and a first contract from a sample file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from expectations.contracts import sets
from jobs.contracts import describe
from jobs.contracts.commands import readable
from jobs.core.command import HintingGroup, hint, pass_context
from jobs.core.context import Context
from jobs.core.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from jobs.contracts.scaffold import Draft

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@click.group(cls=HintingGroup)
def group() -> None:
    """Where messages and records come from; a first contract from a sample file.

    \b
    Examples:
      c360 sources list
      c360 sources show sim_crm_people
      c360 sources new crm_people --from people.csv --object person --key person_id
      c360 sources new app --from events.ndjson
    """


@group.command("list")
def list_command() -> None:
    """List the sources with their format and what they hold."""
    with readable():
        for line in describe.source_lines(sets.current().sources):
            click.echo(line)


@group.command()
@click.argument("name")
@pass_context
def show(context: Context, name: str) -> None:
    """Show one source: format, policies, columns, and where its files are put.

    \b
    Example:
      c360 sources show pos
    """
    with readable():
        sources = sets.current().sources
    if name not in sources:
        raise UsageError(f"no source {name!r}.{hint(name, list(sources))}")
    for line in describe.source_text(sources[name]):
        click.echo(line)
    click.echo(f"  files go to: {context.settings.landing / name}")


@group.command()
@click.argument("name")
@click.option(
    "--from", "sample", required=True, type=click.Path(path_type=Path), help="CSV, NDJSON or Parquet; gzip too."
)
@click.option("--object", "obj", help="What one row is: person, product, … (records)")
@click.option("--key", help="Column, or columns with commas between, that name a row for ever (records)")
@click.option("--event", help="Take only this event of the sample (Segment messages)")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder of contracts to write to.")
@pass_context
def new(
    context: Context, name: str, *, sample: Path, obj: str | None, key: str | None, event: str | None, out: Path | None
) -> None:
    """Infer the first contract of source NAME from a sample file, and say what is unsure.

    Reads the first 1,000 rows: types, required columns, a key, PII by names and by values. Segment messages give a
    source of events and a contract for every event that has none; anything else gives a source of records. Never
    overwrites a contract.

    \b
    Examples:
      c360 sources new crm_people --from people.csv --object person --key person_id
      c360 sources new app --from events.ndjson.gz
      c360 sources new shop_orders --from orders.parquet --key order_id,line_number
    """
    from jobs.contracts import sampling, scaffold

    if not NAME.fullmatch(name):
        raise UsageError(f"source name {name!r}; expected small letters, digits and _, as in crm_people")
    with readable():
        known = sets.current()
    if name in known.sources:
        raise PermanentError(f"source {name} has a contract already; edit it: c360 sources show {name}")
    found = sampling.read_sample(context.settings, sampling.existing_file(sample))
    if found.messages:
        if obj or key:
            raise UsageError("the sample holds Segment messages; --object and --key are for records")
        draft = scaffold.draft_events(name, sample.name, found, event, known.events)
    elif event:
        raise UsageError("--event needs Segment messages (type, messageId or timestamp); rows of records have none")
    else:
        columns = tuple(part.strip() for part in (key or "").split(",") if part.strip())
        draft = scaffold.draft_records(name, sample.name, found, obj, columns)
    folder = out or context.settings.project_root / "expectations" / "contracts"
    _report(context, name, found.rows, draft, scaffold.write(draft, folder))


def _report(context: Context, name: str, rows: int, draft: "Draft", written: list[Path]) -> None:
    click.echo(f"{name}: {draft.summary}; from {rows:,} rows")
    for path in written:
        click.echo(f"  written: {path}")
    if draft.unsure:
        click.echo("not sure about:")
    for note in draft.unsure:
        click.echo(f"  - {note}")
    click.echo("next:")
    click.echo(
        f"  1. read {written[0].name}, put in the description, bounds and allowed values; see c360 sources show {name}"
    )
    click.echo("  2. promise it: c360 contracts baseline, and commit both")
    click.echo(f"  3. put a file into {context.settings.landing / name}, then: c360 ingest run; c360 ops balance")
    click.echo("  4. if the marts shall use it: a staging model, see CONTRIBUTING.md, Add a source")
