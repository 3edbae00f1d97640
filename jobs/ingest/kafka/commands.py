"""`c360 ingest kafka …`: what Kafka has lost before it was read, and a person's decision about it."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context
from jobs.core.errors import GateError


@click.group(cls=HintingGroup)
def kafka() -> None:
    """Topics, and offsets that can no longer be read.

    A gap stops the source (exit code 3) until a person accepts it by its numbers; nothing is passed over unseen.

    \b
    Examples:
      c360 ingest kafka topics
      c360 ingest kafka gaps
      c360 ingest kafka accept shop.events 0 --from 500 --to 1499 --why "retention of 1 day, reader was off for 2"
      c360 ingest kafka adopt shop.events --why "recreated with 12 partitions; the old one had been read to its end"
    """


@kafka.command()
@pass_context
def topics(context: Context) -> None:
    """Show each topic of the settings: its source, how far it is read, and what waits.

    \b
    Examples:
      c360 ingest kafka topics
    """
    from jobs.ingest.kafka.plan import views
    from jobs.lake.delta import ensure_all

    ensure_all(context.settings)
    for view in views(context, remember=False):
        source = context.settings.kafka_sources[view.life.topic] or "(the collector's own)"
        click.echo(f"{view.life.label} → {source}")
        for partition, place in view.places.items():
            span = view.now.partitions.get(partition) if view.now else None
            held = f"holds {span.earliest} to {span.end - 1}, {max(0, span.end - place)} waiting" if span else "gone"
            click.echo(f"  partition {partition}: read to {place - 1}, {held}")


@kafka.command()
@pass_context
def gaps(context: Context) -> None:
    """Show the open gaps and the accepted ones. Exit code 3 when one is open.

    \b
    Examples:
      c360 ingest kafka gaps
    """
    from jobs.ingest.kafka.ledger import accepted_gaps
    from jobs.ingest.kafka.plan import views
    from jobs.ingest.kafka.render import accepted_line, open_lines
    from jobs.lake.delta import ensure_all

    ensure_all(context.settings)
    still_open = [gap for view in views(context, remember=False) for gap in view.gaps]
    for row in accepted_gaps(context.settings):
        click.echo(accepted_line(row))
    for gap in still_open:
        click.echo("\n".join(open_lines(gap)))
    if still_open:
        raise GateError(f"{len(still_open)} gaps are open; the Kafka source stands still until they are decided")
    click.echo("no gap is open")


@kafka.command()
@click.argument("topic")
@click.argument("partition", type=click.IntRange(min=0))
@click.option("--from", "first", type=click.IntRange(min=0), required=True, help="First offset that is gone.")
@click.option("--to", "last", type=click.IntRange(min=0), required=True, help="Last offset that is gone.")
@click.option("--why", required=True, help="What was found; kept in ops_accepted_gaps and shown with the balance.")
@pass_context
def accept(context: Context, topic: str, partition: int, *, first: int, last: int, why: str) -> None:
    """Accept that the offsets FROM to TO of PARTITION were deleted unread; the next run goes on behind them.

    Only the very numbers that `c360 ingest kafka gaps` shows are taken.

    \b
    Examples:
      c360 ingest kafka accept shop.events 0 --from 500 --to 1499 --why "retention of 1 day, reader was off for 2"
    """
    from jobs.ingest.kafka.decide import accept_gap
    from jobs.lake.delta import ensure_all
    from jobs.lake.locks import ingest_lock

    with ingest_lock(context.settings):
        ensure_all(context.settings)
        gap = accept_gap(context, topic, partition, first=first, last=last, why=why)
    click.echo(f"accepted: {gap.records} records of {topic} partition {partition} are lost; now: c360 ingest run")


@kafka.command()
@click.argument("topic")
@click.option("--why", required=True, help="What was found; kept in ops_accepted_gaps and shown with the balance.")
@pass_context
def adopt(context: Context, topic: str, why: str) -> None:
    """Take a TOPIC that was deleted and made anew for a new one; the next run reads it from offset 0.

    What was unread of the old one is written down as lost; nobody knows how much that was.

    \b
    Examples:
      c360 ingest kafka adopt shop.events --why "recreated with 12 partitions; the old one had been read to its end"
    """
    from jobs.ingest.kafka.decide import adopt_topic
    from jobs.lake.delta import ensure_all
    from jobs.lake.locks import ingest_lock

    with ingest_lock(context.settings):
        ensure_all(context.settings)
        found = adopt_topic(context, topic, why=why)
    click.echo(f"adopted: {topic} is read from the start, {len(found)} old partitions are closed; now: c360 ingest run")
