"""`c360 contracts …`: list, show, export as JSON Schema, compare, and the committed baseline."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from expectations.contracts import ContractError, json_schema, sets
from expectations.contracts.compatibility import Change, compare
from expectations.contracts.sets import ContractSet
from jobs.contracts import describe
from jobs.core.command import HintingGroup, hint, pass_context
from jobs.core.context import Context
from jobs.core.errors import ExitCode, PermanentError, UsageError
from jobs.core.settings import Settings

EXISTING = click.Path(exists=True, path_type=Path)


@contextmanager
def readable() -> Iterator[None]:
    """A malformed contract as one line instead of a traceback."""
    try:
        yield
    except ContractError as error:
        raise PermanentError(" ".join(str(error).split())) from error


def baseline_file(settings: Settings) -> Path:
    """What producers were last promised; committed."""
    return settings.project_root / "expectations" / "contracts" / "baseline.json"


@click.group(cls=HintingGroup)
def group() -> None:
    """What producers promise, per event and source, and what a change of it does.

    Contracts are YAML files in expectations/contracts/{events,sources}.

    \b
    Examples:
      c360 contracts list
      c360 contracts show "Order Completed"
      c360 contracts export --source pos               JSON Schema for the producer
      c360 contracts export --out schemas/             all of them, a file each
      c360 contracts check                             against what was last promised (make lint)
      c360 contracts check --against-git origin/main
      c360 contracts baseline                          promise the contracts as they stand now
    """


@group.command("list")
def list_command() -> None:
    """List events and sources with their version."""
    with readable():
        for line in describe.overview(sets.current()):
            click.echo(line)


@group.command()
@click.argument("name")
def show(name: str) -> None:
    """Show one event or source with its fields and rules.

    \b
    Examples:
      c360 contracts show sim_crm_people
      c360 contracts show "Product Added"
    """
    with readable():
        contracts = sets.current()
    if name in contracts.sources:
        lines = describe.source_text(contracts.sources[name])
    elif name in contracts.events:
        senders = [source.name for source in contracts.sources.values() if name in source.events]
        lines = describe.event_text(contracts.events[name], senders)
    else:
        raise UsageError(f"no event or source {name!r}.{hint(name, [*contracts.events, *contracts.sources])}")
    for line in lines:
        click.echo(line)


@group.command()
@click.option("--source", help="Only this source: one message, or one row, of it.")
@click.option("--event", help="Only this event.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write a file each into this folder.")
def export(source: str | None, event: str | None, out: Path | None) -> None:
    """Export JSON Schema (2020-12) for producers: what passes it is accepted.

    The stream judges the text of a value, so it also takes "12" for 12; each schema says what else. PII classes are
    `x-pii`, outlier rules `x-outlier`, identifiers `x-identifier`, the format of files `x-file`.

    \b
    Examples:
      c360 contracts export --event "Order Completed"
      c360 contracts export --out schemas/
    """
    if source and event:
        raise UsageError("--source and --event: give one of them")
    with readable():
        files = _schemas(sets.current(), source, event)
    if out is None and len(files) > 1:
        raise UsageError("one schema goes to the screen, many into a folder: add --source, --event or --out DIR")
    for path, schema in files.items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        if out is None:
            click.echo(text)
            continue
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_text(text + "\n", encoding="utf-8")
    if out is not None:
        click.echo(f"{len(files)} schemas in {out}")


def _schemas(contracts: ContractSet, source: str | None, event: str | None) -> dict[Path, json_schema.Schema]:
    for kind, name, known in (("source", source, contracts.sources), ("event", event, contracts.events)):
        if name is not None and name not in known:
            raise UsageError(f"no {kind} {name!r}.{hint(name, list(known))}")
    events = [] if source else [contracts.events[event]] if event else list(contracts.events.values())
    sources = [] if event else [contracts.sources[source]] if source else list(contracts.sources.values())
    return {
        Path("events") / f"{json_schema.slug(item.name)}.schema.json": json_schema.event_schema(item) for item in events
    } | {
        Path("sources") / f"{item.name}.schema.json": json_schema.source_schema(item, contracts.events)
        for item in sources
    }


@group.command()
@click.argument("old", type=EXISTING, required=False)
@click.argument("new", type=EXISTING, required=False)
@click.option("--against-git", metavar="REV", help="Compare this revision with the contracts of the checkout.")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@pass_context
def check(context: Context, old: Path | None, new: Path | None, against_git: str | None, as_json: bool) -> int:
    """Say of every change from OLD to NEW whether it is compatible or breaking.

    OLD and NEW are folders with events/ and sources/, single YAML files, or baselines. Without them the committed
    baseline is compared with the contracts of the checkout, and must equal them.

    Breaking: what was accepted may be refused, held or kept differently, or what readers were promised is gone. Exit
    code 1 when a breaking change comes without a raised version (BREAKING in the list), 0 otherwise.

    \b
    Examples:
      c360 contracts check
      c360 contracts check old/contracts expectations/contracts
      c360 contracts check --against-git HEAD~1
    """
    if bool(old) != bool(new) or (old and against_git):
        raise UsageError("give OLD and NEW, or --against-git REV, or nothing (baseline against checkout)")
    with readable():
        before, after = _pair(context.settings, old, new, against_git)
    changes = compare(before, after)
    _print(changes, as_json=as_json)
    if any(change.blocks for change in changes):
        return ExitCode.FAILED
    if not old and not against_git and sets.to_baseline(before) != sets.to_baseline(after):
        click.echo("baseline.json is behind the contracts; run: c360 contracts baseline", err=True)
        return ExitCode.FAILED
    return ExitCode.OK


def _pair(
    settings: Settings, old: Path | None, new: Path | None, revision: str | None
) -> tuple[ContractSet, ContractSet]:
    if old and new:
        return sets.read_set(old), sets.read_set(new)
    if revision:
        from jobs.contracts.revision import read_revision

        return read_revision(settings, revision), sets.current()
    file = baseline_file(settings)
    if not file.exists():
        raise PermanentError(f"{file} is missing; restore it, or promise what stands: c360 contracts baseline")
    return sets.read_set(file), sets.current()


def _print(changes: list[Change], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(change) | {"blocks": change.blocks} for change in changes], indent=1))
        return
    for change in sorted(changes, key=lambda change: not change.is_breaking):
        click.echo(describe.change_line(change))
    click.echo(describe.change_summary(changes))


@group.command()
@click.option("--retire", multiple=True, metavar="NAME", help="A source that is given up on purpose; may be repeated.")
@pass_context
def baseline(context: Context, retire: tuple[str, ...]) -> int:
    """Write baseline.json: promise the contracts as they stand now. Commit it with the change.

    Refused (exit code 1) while a breaking change has no raised version, so that the check cannot be silenced by writing
    the baseline anew. A removed source must be named.

    \b
    Examples:
      c360 contracts baseline
      c360 contracts baseline --retire old_crm
    """
    file = baseline_file(context.settings)
    with readable():
        contracts = sets.current()
        changes = compare(sets.read_set(file), contracts) if file.exists() else []
    retired = {f"source {name}" for name in retire if name not in contracts.sources}
    blocking = [change for change in changes if change.blocks and change.contract not in retired]
    _print(changes, as_json=False)
    if blocking:
        click.echo("baseline.json stays as it was; raise the version, or --retire a removed source", err=True)
        return ExitCode.FAILED
    file.write_text(sets.to_baseline(contracts), encoding="utf-8")
    click.echo(f"{len(contracts.events)} events and {len(contracts.sources)} sources promised in {file.name}")
    return ExitCode.OK
