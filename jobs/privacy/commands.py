"""`c360 privacy keys …`: the secret keys, and how they are changed without losing anybody."""

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Secret keys: which there are, rotate, retire.

    \b
    Examples:
      c360 privacy keys list
      c360 privacy keys rotate            a new key for tokens; old tokens are found for 30 days
      c360 privacy keys retire            after these days: rewrite what is left, remove the old key
    """


@group.group(cls=HintingGroup)
def keys() -> None:
    """Keys of tokens, vault and fingerprints.

    They stand in C360_HOME/keys (mode 0600), never in the lake, which knows their fingerprints: a key that was exchanged by
    hand is refused at start. Back them up together with the vault.

    \b
    Examples:
      c360 privacy keys list
      c360 privacy keys rotate --window-days 14
      c360 privacy keys rotate --vault
      c360 privacy keys retire
    """


@keys.command("list")
@pass_context
def list_command(context: Context) -> None:
    """List the keys with their state; prints no key.

    active: in use · window: replaced, its tokens are still found · prepared: a rotation was interrupted, run it again ·
    retired: gone.

    \b
    Example:
      c360 privacy keys list
    """
    from jobs.privacy.keys import load_keys
    from jobs.privacy.registry import Purpose, Registry

    load_keys(context.settings)
    registry = Registry(context.settings)
    for purpose in Purpose:
        for row in registry.of(purpose):
            until = f"  until {row.window_ends_at:%Y-%m-%d %H:%M} UTC" if row.window_ends_at else ""
            gone = f"  removed {row.retired_at:%Y-%m-%d %H:%M} UTC" if row.retired_at else ""
            click.echo(f"{row.key_name:16} {row.state:9} since {row.created_at:%Y-%m-%d}{gone or until}")


@keys.command()
@click.option(
    "--vault", "of_vault", is_flag=True, help="The key of the vault instead: encrypted anew at once, no window."
)
@click.option(
    "--window-days",
    type=click.IntRange(min=0, max=365),
    help="Days for which old tokens are still found. [setting token_window_days, default 30]",
)
@pass_context
def rotate(context: Context, of_vault: bool, window_days: int | None) -> None:
    """Make a new key and use it from now on; nobody's history is lost.

    New messages get new tokens. Profiles, consents and suppressions are found by both tokens until the window ends. Runs of
    ingest, identity, warehouse and sync must not be at work (the collector may be); a rotation that was interrupted is
    finished by running it again.

    \b
    Examples:
      c360 privacy keys rotate
      c360 privacy keys rotate --window-days 7
      c360 privacy keys rotate --vault
    """
    from jobs.privacy.rotation import rotate_tokens, rotate_vault

    if of_vault:
        if window_days is not None:
            raise click.UsageError("--window-days belongs to the tokens: the vault has no window")
        done = rotate_vault(context)
        click.echo(f"{done.new.key_name} is in use, {done.values:,} values encrypted anew; {done.old.key_name} is gone")
        return
    days = context.settings.token_window_days if window_days is None else window_days
    done = rotate_tokens(context, window_days=days)
    click.echo(
        f"{done.new.key_name} is in use; {done.values:,} values are known by both tokens until "
        f"{done.old.window_ends_at:%Y-%m-%d %H:%M} UTC, then run: c360 privacy keys retire"
    )


@keys.command()
@click.option("--early", is_flag=True, help="End the window now.")
@click.option(
    "--rekey-unknown",
    is_flag=True,
    help="Replace tokens whose value the vault has lost by tokens of themselves; without it they stop the command.",
)
@pass_context
def retire(context: Context, early: bool, rekey_unknown: bool) -> None:
    """Rewrite what still carries old tokens, then remove the old key for good.

    A command that was interrupted is finished by running it again. The published warehouse shows new tokens after its next
    build; files of earlier Delta versions go with the next vacuum.

    \b
    Examples:
      c360 privacy keys retire
      c360 privacy keys retire --early
    """
    from jobs.privacy.retirement import retire_tokens

    done = retire_tokens(context, early=early, rekey_unknown=rekey_unknown)
    for table, count in done.rewritten.items():
        click.echo(f"{table:24} {count:>12,} rows rewritten")
    if done.unknown:
        click.echo(f"{done.unknown:,} tokens were unknown to the vault and no longer join new messages")
    click.echo(f"{done.key.key_name} is gone: no table carries its tokens; next: c360 warehouse build")
