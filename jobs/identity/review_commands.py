"""`c360 identity review …`: pairs of records that may be one person, for a person to decide."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context

PAIRS = click.argument("pair_ids", metavar="PAIR_ID...", nargs=-1, required=True)


@click.group("review", cls=HintingGroup)
def review_group() -> None:
    """Decide on pairs of records that may be one person.

    They stand in the table identity_matches: probable, but not enough to be linked unasked. A decision counts from the next
    `c360 identity run` on, and until it is taken back by another.

    \b
    Examples:
      c360 identity review list
      c360 identity review show 3fa9c1d2             what both say; who looked is written to vault/audit.jsonl first
      c360 identity review accept 3fa9c1d2 77b01c45
      c360 identity review reject 3fa9c1d2
    """


@review_group.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=25, show_default=True, help="Most pairs to print.")
@pass_context
def list_command(context: Context, limit: int) -> None:
    """Print the open pairs, the most probable first: where their records come from, and their profiles.

    \b
    Examples:
      c360 identity review list --limit 100
    """
    from jobs.identity.review import queue

    found = queue(context.settings)
    click.echo(f"{len(found):,} pairs wait for a decision" + (f" (the first {limit})" if len(found) > limit else ""))
    for one in found[:limit]:
        pair = one.pair
        click.echo(
            f"  {pair['pair_id']}  {pair['match_probability']:.3f} {pair['outcome']:11}  {pair['record_a']} of {one.profile_a}, "
            f"{pair['record_b']} of {one.profile_b}"
        )


@review_group.command()
@click.argument("pair_id")
@pass_context
def show(context: Context, pair_id: str) -> None:
    """Print what the two records say, side by side. These are personal data; who looked is written down first.

    \b
    Examples:
      c360 identity review show 3fa9c1d2
    """
    from jobs.identity.review import find_pair, side_by_side

    pair = find_pair(context.settings, pair_id)
    click.echo(
        f"{pair['pair_id']}: {pair['match_probability']:.3f}, {pair['match_weight']:.1f} bits, {pair['outcome']}"
    )
    click.echo(f"  {'':12} {pair['record_a']:40} {pair['record_b']}")
    for column, a, b in side_by_side(context, pair):
        click.echo(f"  {column:12} {a or '-':40} {b or '-'}")


@review_group.command()
@PAIRS
@pass_context
def accept(context: Context, pair_ids: tuple[str, ...]) -> None:
    """Say that both records of each pair are of one person.

    \b
    Examples:
      c360 identity review accept 3fa9c1d2
    """
    from jobs.identity.linkage.decisions import ACCEPTED

    _decide(context, pair_ids, ACCEPTED)


@review_group.command()
@PAIRS
@pass_context
def reject(context: Context, pair_ids: tuple[str, ...]) -> None:
    """Say that the records of each pair are of two people. A link made of it falls with the next run.

    \b
    Examples:
      c360 identity review reject 3fa9c1d2
    """
    from jobs.identity.linkage.decisions import REJECTED

    _decide(context, pair_ids, REJECTED)


def _decide(context: Context, pair_ids: tuple[str, ...], decision: str) -> None:
    from jobs.identity.linkage.decisions import decide
    from jobs.identity.review import find_pair
    from jobs.lake.locks import identity_lock

    with identity_lock(context.settings):
        pairs = [find_pair(context.settings, pair_id) for pair_id in pair_ids]
        changed = sum(decide(context, pair, decision) for pair in pairs)
    click.echo(f"{changed} of {len(pairs)} newly {decision}; takes effect with the next: c360 identity run")
