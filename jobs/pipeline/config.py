"""`c360 config …`: the settings in force, and where each comes from."""

import json

import click

from jobs.core.command import HintingGroup, pass_context
from jobs.core.context import Context


@click.group(cls=HintingGroup)
def group() -> None:
    """Show the settings and where each value comes from.

    \b
    Examples:
      c360 config show
      C360_DUCKDB_THREADS=8 c360 config show
    """


@group.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of text.")
@pass_context
def show(context: Context, as_json: bool) -> None:
    """Show every setting: its value, where it comes from and what it does.

    Later wins: default, then settings.yml in C360_HOME, then the environment variable.

    \b
    Examples:
      c360 config show --json
    """
    from jobs.core.settings import PREFIX, Settings, setting_origins

    origins = setting_origins(context.settings)
    rows = [
        {
            "setting": PREFIX + name.upper(),
            "value": getattr(context.settings, name),
            "origin": origins[name],
            "description": info.description or "",
        }
        for name, info in Settings.model_fields.items()
    ]
    if as_json:
        click.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        value = "-" if row["value"] is None else str(row["value"])
        click.echo(f"{row['setting']:<26} {value:<28} {row['origin']:<13} {row['description']}")
