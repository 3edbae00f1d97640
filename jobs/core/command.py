"""What every command group shares: hints on a typo and the way to the Context."""

import difflib
from typing import Any

import click

from jobs.core.context import Context

pass_context = click.make_pass_decorator(Context)


def hint(unknown: str, known: list[str]) -> str:
    """A "did you mean" for a mistyped command, empty when nothing is near."""
    near = difflib.get_close_matches(unknown, known, n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."


class HintingGroup(click.Group):
    """A group whose "no such command" error names the nearest one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Adds the hint to click's own error."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and self.get_command(ctx, args[0]) is None:
                message = f"No such command '{args[0]}'." + hint(args[0], self.list_commands(ctx))
                raise click.UsageError(message, ctx=ctx) from error
            raise
