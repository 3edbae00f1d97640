"""`c360 segments stream | replay | evaluate`: the definitions at work on events, and the proof that both ways agree."""

from datetime import UTC, datetime
from pathlib import Path

import click

from jobs.core.command import pass_context
from jobs.core.context import Context
from jobs.core.errors import ExitCode


@click.command()
@click.option("--continuous", is_flag=True, help="Go on until SIGTERM or Ctrl-C, instead of ending with what is there.")
@click.option("--every", default="2 seconds", show_default=True, help="Pace of micro-batches, with --continuous.")
@click.option("--definitions", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with segments/ and traits/, instead of the project's.")  # fmt: skip
@pass_context
def stream(context: Context, *, continuous: bool, every: str, definitions: Path | None) -> None:
    """Keep the members of all segments up to date, and write every entry and exit to segment_changes.

    In the same micro-batch triggers and journeys are decided, into trigger_decisions and journey_states.

    Reads the events of silver as they come, new builds and identity runs, and what time alone changes. Needs no published
    warehouse unless a rule names one of its columns. One at a time; after a crash it goes on where it was.

    \b
    Examples:
      c360 segments stream                          what is there, then an end
      c360 segments stream --continuous             beside c360 ingest run --continuous
      c360 segments stream --continuous --every '10 seconds'
    """
    from jobs.segments.live.stream import run_stream
    from jobs.segments.triggers.service import beside

    told = run_stream(context, every=every if continuous else None, definitions=definitions, beside=beside)
    click.echo(f"{told} changes told")


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no ISO 8601 time such as 2018-01-01T06:00:00Z") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


@click.command()
@click.option(
    "--from", "start", required=True, callback=_moment, help="First moment, ISO 8601; UTC when it names no zone."
)
@click.option("--to", "end", required=True, callback=_moment, help="Last moment; compared too.")
@click.option("--every", help="Compare at this distance, e.g. 6h, 30m, 1d.  [default: 6h]")
@click.option("--instants", type=click.IntRange(1, 10_000), help="Compare at so many random moments instead.")
@click.option("--seed", type=int, help="Seed of the random moments.  [default: the setting C360_SEED]")
@click.option("--batches", type=click.IntRange(1, 1000), default=4, show_default=True,
              help="Micro-batches between two comparisons.")  # fmt: skip
@click.option("--definitions", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with segments/ and traits/, instead of the project's.")  # fmt: skip
@pass_context
def replay(
    context: Context,
    *,
    start: datetime,
    end: datetime,
    every: str | None,
    instants: int | None,
    seed: int | None,
    batches: int,
    definitions: Path | None,
) -> None:
    """Run a period of the lake through the stream's evaluator and compare its members with the batch's.

    Every difference is a row of ops_parity; one or more end the command with exit code 3.

    \b
    Examples:
      c360 segments replay --from 2017-12-25 --to 2018-01-02 --every 6h
      c360 segments replay --from 2017-12-25 --to 2018-01-02 --instants 50 --seed 7
    """
    from jobs.segments.language.catalogue import load
    from jobs.segments.live.replay import run_replay, sampled

    moments = sampled(start, end, every=every, count=instants, seed=context.settings.seed if seed is None else seed)
    catalogue = load(definitions or context.settings.project_root)
    click.echo(run_replay(context, start, moments, batches=batches, catalogue=catalogue))


@click.command()
@click.option("--events", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Events, one Segment message (JSON) a line.")  # fmt: skip
@click.option("--definitions", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder with segments/ and traits/.")  # fmt: skip
@click.option("--as-of", "moment", required=True, callback=_moment, help="Moment, ISO 8601; UTC when it names no zone.")
@click.option("--engine", type=click.Choice(["batch", "stream"]), default="batch", show_default=True)
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="CSV to write: profile_id,segment."
)
@pass_context
def evaluate(context: Context, *, events: Path, definitions: Path, moment: datetime, engine: str, out: Path) -> int:
    """Say who is a member of which segment at a moment, by any file of events; needs no lake.

    A profile is a userId, or where there is none an anonymousId. A line that is no event is written to OUT.refused.jsonl with
    its reason; one or more end the command with exit code 4.

    \b
    Examples:
      c360 segments evaluate --events e.jsonl --definitions dbt_project/definitions --as-of 2018-01-01T06:00Z --out m.csv
      c360 segments evaluate --events e.jsonl --definitions mine --as-of 2018-01-01 --engine stream --out m.csv
    """
    from jobs.segments.evaluate.event_files import evaluate_file

    done = evaluate_file(context, events, definitions, moment, is_stream=engine == "stream", out=out)
    click.echo(done.told)
    return int(ExitCode.REFUSED_INPUT if done.refused else ExitCode.OK)
