"""`c360 quarantine …`: look at what was set aside, repair it by rule, feed it again, or give it up."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from jobs.core.command import HintingGroup, hint, pass_context
from jobs.core.context import Context
from jobs.core.errors import ExitCode, UsageError
from jobs.core.logging import redact
from jobs.ingest.reasons import Reason

if TYPE_CHECKING:
    from jobs.ingest.quarantine.patch_rules import PatchRule
    from jobs.ingest.quarantine.rows import Selection

STATES = ("pending", "replayed", "discarded", "all")
AS_IS_WORDS = ("none", "as-is")


def _known_reasons(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for code in given:
        if code not in list(Reason):
            raise click.BadParameter(f"no reason {code!r}.{hint(code, list(Reason))}")
    return given


SOURCE = click.option("--source", "sources", multiple=True, help="Only of this source; may be given more than once.")
REASON = click.option(
    "--reason", "reasons", multiple=True, callback=_known_reasons, help="Only with this reason code; may be repeated."
)
SINCE = click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), help="Only messages received on or after this UTC day."
)


@click.group(cls=HintingGroup)
def group() -> None:
    """What was set aside: look at it, repair it by rule, feed it again, or give it up.

    \b
    Examples:
      c360 quarantine list                                     how many, for which reason, since when
      c360 quarantine show 3f9a0c41d2b7                        one message, without its payload
      c360 quarantine rules                                    the patch rules there are
      c360 quarantine replay --rule sim_web_event_names --dry-run
      c360 quarantine replay --as-is --source pos              after a contract was mended
    """


@group.command("list")
@SOURCE
@REASON
@SINCE
@click.option("--state", type=click.Choice(STATES), default="pending", show_default=True, help="What became of them.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of text.")
@pass_context
def list_command(
    context: Context,
    *,
    sources: tuple[str, ...],
    reasons: tuple[str, ...],
    since: datetime | None,
    state: str,
    as_json: bool,
) -> None:
    """Count what was set aside: per source, reason, field and contract version, with when first and last, and an example.

    A message with two faults is counted in two lines; the last line counts messages.

    \b
    Examples:
      c360 quarantine list --source sim_web --since 2017-06-01
      c360 quarantine list --reason unknown_event --state all --json
    """
    from jobs.ingest.quarantine.rows import Quarantine, Selection

    selection = Selection(
        sources, reasons, since=since.date() if since else None, state=None if state == "all" else state
    )
    with closing(Quarantine(context.settings)) as quarantine:
        counts, total = quarantine.counts(selection), quarantine.total(selection)
    if as_json:
        click.echo(json.dumps(counts, default=str))
        return
    for row in counts:
        click.echo(
            f"{row['source']:<20} {row['reason'] + ':' + row['field']:<36} v{row['contract_version'] or 0:<3} {row['state']:<9} "
            f"{row['messages']:>9,}  {row['first_seen']:%Y-%m-%d %H:%M} to {row['last_seen']:%Y-%m-%d %H:%M}  {row['example']}"
        )
    click.echo(f"{total:,} messages" if total else "no such messages")


@group.command()
@click.argument("message_id")
@click.option(
    "--payload", "with_payload", is_flag=True, help="Also the message as it came: raw personal data, audited."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@pass_context
def show(context: Context, message_id: str, *, with_payload: bool, as_json: bool) -> None:
    """Show everything known of one message; its id may be shortened to its beginning.

    The payload is shown only on request, and who asked is written to vault/audit.jsonl first.

    \b
    Examples:
      c360 quarantine show 3f9a0c41d2b7
      c360 quarantine show 3f9a0c41d2b7 --payload
    """
    from jobs.ingest.quarantine.rows import Quarantine
    from jobs.privacy.audit import audit

    with closing(Quarantine(context.settings)) as quarantine:
        row = quarantine.one(message_id)
    payload = row.pop("payload")
    # Fields of a rejected message may hold what was never to be there.
    shown: dict[str, Any] = {name: redact(v) if isinstance(v, str) else v for name, v in row.items()}
    if with_payload:
        audit(context, "quarantine.show", messages=1, message_id=row["message_id"])
        shown["payload"] = payload
    if as_json:
        click.echo(json.dumps(shown, default=str))
        return
    for name, value in shown.items():
        if value is not None:
            click.echo(f"{name:<18} {_printable(value)}")
    if not with_payload:
        click.echo(f"{'payload':<18} {len(payload or ''):,} characters, shown with --payload")


def _printable(value: object) -> str:
    """A value for a terminal: what came in from outside must not steer it."""
    text = ", ".join(value) if isinstance(value, list) else str(value)
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


@group.command()
@pass_context
def rules(context: Context) -> None:
    """List the patch rules, and how many pending messages each may be for.

    Rules of your own are YAML files in C360_HOME/rules; docs/quarantine.md says what stands in one.

    \b
    Examples:
      c360 quarantine rules
    """
    from jobs.ingest.quarantine.patch_rules import load_rules
    from jobs.ingest.quarantine.rows import Quarantine, Selection

    with closing(Quarantine(context.settings)) as quarantine:
        for rule in load_rules(context.settings).values():
            pending = quarantine.total(Selection.of_rule(rule))
            click.echo(f"{rule.label:<32} {pending:>9,} pending  {rule.description}")


@group.command()
@click.option("--rule", "name", help="The patch rule; `none` feeds the messages again as they are.")
@click.option("--as-is", is_flag=True, help="The same as --rule none: for after a contract was mended.")
@SOURCE
@REASON
@SINCE
@click.option("--limit", type=click.IntRange(min=1), help="At most so many messages, the first received first.")
@click.option("--dry-run", is_flag=True, help="Say what would become of them, and write nothing.")
@pass_context
def replay(
    context: Context,
    *,
    name: str | None,
    as_is: bool,
    sources: tuple[str, ...],
    reasons: tuple[str, ...],
    since: datetime | None,
    limit: int | None,
    dry_run: bool,
) -> int:
    """Feed pending messages to the judge again: repaired by a patch rule, or as they are.

    Each is placed once, whatever crashes, under the place and time of its first receipt; a second replay changes nothing.
    What still fails stays pending, with what is wrong printed; then the exit code is 4. A rule's own match decides which
    messages it is for; --source and --reason choose what is replayed as it is.

    \b
    Examples:
      c360 quarantine replay --rule sim_web_event_names --dry-run
      c360 quarantine replay --rule sim_web_event_names --limit 100
      c360 quarantine replay --as-is --source pos --reason wrong_type
    """
    from jobs.ingest.quarantine.judging import stream_judge
    from jobs.ingest.quarantine.replay import Replay
    from jobs.ingest.quarantine.runner import rehearse, run

    if as_is == (name is not None):
        raise UsageError("say how: --rule NAME, or --as-is; `c360 quarantine rules` lists the rules")
    rule, selection = _meant(context, None if name in AS_IS_WORDS else name, sources, reasons, since)
    command = Replay(context, selection, rule, stream_judge, limit)
    report = rehearse(command) if dry_run else run(command)
    for line in report.lines():
        click.echo(line)
    return ExitCode.REFUSED_INPUT if report.still_failing and not dry_run else ExitCode.OK


@group.command()
@click.option("--rule", "name", help="What this patch rule is for.")
@SOURCE
@REASON
@SINCE
@click.option("--why", required=True, help="What the person who looked at them found; kept with each message.")
@click.option("--dry-run", is_flag=True, help="Count them, and write nothing.")
@pass_context
def discard(
    context: Context,
    *,
    name: str | None,
    sources: tuple[str, ...],
    reasons: tuple[str, ...],
    since: datetime | None,
    why: str,
    dry_run: bool,
) -> None:
    """Give pending messages up: they stay, are never replayed, and go on counting as quarantined.

    \b
    Examples:
      c360 quarantine discard --source sim_web --reason malformed_json --why "cut off by a proxy; the shop sent them again"
      c360 quarantine discard --rule sim_web_quantity_words --why "the estimate was refused" --dry-run
    """
    from jobs.ingest.quarantine.runner import discard as discard_rows

    if not (name or reasons):
        raise UsageError("say which: --rule NAME or --reason CODE; `c360 quarantine list` shows what there is")
    if len(why.split()) < 2:
        raise UsageError("--why takes a sentence: somebody will ask")
    rule, selection = _meant(context, name, sources, reasons, since)
    count = discard_rows(context, selection, rule, why=why, rehearsal=dry_run)
    click.echo(f"{count:,} messages {'would be ' if dry_run else ''}discarded")


def _meant(
    context: Context,
    name: str | None,
    sources: tuple[str, ...],
    reasons: tuple[str, ...],
    since: datetime | None,
) -> "tuple[PatchRule | None, Selection]":
    """The rule, if one is named, and the rows it or the options mean."""
    from jobs.ingest.quarantine.patch_rules import find_rule
    from jobs.ingest.quarantine.rows import Selection

    day = since.date() if since else None
    if name is None:
        return None, Selection(sources, reasons, since=day)
    if sources or reasons:
        raise UsageError("a rule says itself which sources and reasons it is for; leave --source and --reason out")
    rule = find_rule(context.settings, name)
    return rule, replace(Selection.of_rule(rule), since=day)
