"""`c360 ingest …`: from landing files and Kafka topics to silver and quarantine."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.ingest.doctor.commands import doctor
from jobs.ingest.kafka.commands import kafka
from jobs.ingest.pulls.commands import pull


@click.group(cls=HintingGroup)
def group() -> None:
    """Landing files and Kafka topics to bronze, silver and quarantine.

    \b
    Examples:
      c360 ingest run           load everything new in C360_HOME/landing
      c360 ingest kafka gaps    what Kafka has lost unread, and what was accepted
      c360 ingest pull list     what can be fetched from elsewhere into landing
      c360 ingest doctor        what is wrong with a checkpoint, and how to mend it
      c360 ops balance          what became of every message
    """


group.add_command(kafka)
group.add_command(pull)
group.add_command(doctor)


@group.command()
@click.option(
    "--source",
    "sources",
    type=click.Choice(["landing", "kafka"]),
    multiple=True,
    help="Only this one; repeatable. [landing, and kafka where its settings are made]",
)
@click.option(
    "--retry-refused", is_flag=True, help="Look again at files refused before, e.g. after a contract was mended."
)
@click.option("--continuous", is_flag=True, help="Keep running, a micro-batch at a time, until SIGTERM.")
@click.option(
    "--every", default="3 seconds", show_default=True, help="With --continuous: how often a micro-batch starts."
)
@pass_context
def run(context: Context, sources: tuple[str, ...], retry_refused: bool, continuous: bool, every: str) -> int:
    """Load everything new in landing/, in the collector's log and in the Kafka topics of the settings, then stop. Safe to
    repeat.

    Exit code 4 says that the good files are in and some file was refused; `c360 ops landing` names it and why. Exit code 3
    says that Kafka has lost records before they were read; the rest is in, and `c360 ingest kafka gaps` names them.

    \b
    Examples:
      c360 ingest run
      c360 ingest run --retry-refused
      c360 ingest run --source kafka
      c360 ingest run --source kafka --continuous --every "2 seconds"
    """
    if continuous:
        from jobs.ingest.service import run_service

        return int(run_service(context, every=every, sources=sources))
    from jobs.ingest.run import run_ingest

    code = run_ingest(context, sources=sources, retry_refused=retry_refused)
    if code:
        click.echo("ingest: done, some files were refused; see `c360 ops landing`", err=True)
    return int(code)


@group.command()
@click.argument("file", metavar="SOURCE/NAME")
@click.option("--why", required=True, help="What the person who looked at it found; kept in the manifest.")
@pass_context
def release(context: Context, file: str, why: str) -> None:
    """Let a held file pass as it is; the next run loads it. `c360 ops landing` lists the held ones.

    \b
    Examples:
      c360 ingest release sim_crm_people/people.csv --why "the e-mail column is empty on purpose"
    """
    from jobs.ingest.landing.release import release as release_file
    from jobs.lake.locks import ingest_lock

    source, _, name = file.partition("/")
    with ingest_lock(context.settings):
        release_file(context, source, name, why=why)
    click.echo(f"released {file}; now: c360 ingest run")
