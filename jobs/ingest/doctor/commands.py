"""`c360 ingest doctor`: what is wrong with the checkpoints, and the two ways to put it right."""

import click

from jobs.core.command import pass_context
from jobs.core.context import Context
from jobs.lake.checkpoints import STREAMS


@click.command()
@click.option("--repair", is_flag=True, help="Drop torn newest entries of batches that were not finished.")
@click.option(
    "--new-checkpoint",
    "anew",
    type=click.Choice(STREAMS),
    help="Begin a stream anew, after proof of what it had loaded; the old checkpoint is set aside.",
)
@pass_context
def doctor(context: Context, repair: bool, anew: str | None) -> int:
    """Examine the checkpoints of both streams. Exit code 1 when something keeps a stream from starting.

    \b
    Examples:
      c360 ingest doctor
      c360 ingest doctor --repair
      c360 ingest doctor --new-checkpoint silver
    """
    from jobs.ingest.doctor.examine import examine_all
    from jobs.ingest.doctor.guard import repair as drop_torn
    from jobs.lake.locks import ingest_lock

    if anew:
        begin_anew(context, anew)
    if repair:
        with ingest_lock(context.settings):
            for finding in drop_torn(context.settings):
                click.echo(f"repaired  {finding.stream}: {finding.what}")
    found = examine_all(context.settings)
    for finding in found:
        click.echo(f"{finding.kind:<8}  {finding}")
    blocking = sum(finding.blocks for finding in found)
    click.echo(
        "both streams may start" if not blocking else f"{blocking} findings keep `c360 ingest run` from starting"
    )
    return int(blocking > 0)


def begin_anew(context: Context, stream: str) -> None:
    """Under both locks, recorded as a stage."""
    from jobs.ingest.doctor.restart import new_checkpoint
    from jobs.lake.locks import ingest_lock, maintenance_lock
    from jobs.lake.runs import stage

    settings = context.settings
    with ingest_lock(settings), maintenance_lock(settings), stage(context, "ingest.doctor") as record:
        proof = new_checkpoint(context, stream)
        record.details = {
            "stream": stream,
            "loaded": proof.loaded,
            "left": proof.left,
            "rolled_back": proof.rolled_back,
        }
    click.echo(f"{stream}: {proof.loaded:,} {proof.what} are loaded, {proof.left:,} are left; now: c360 ingest run")
    if proof.rolled_back:
        click.echo(f"{stream}: batch {proof.rolled_back} was half written and is taken back; it is among those left")
