"""What segments cost.

make bench-segments PART=build      the shipped segments over the sample in C360_HOME, as dbt models on DuckDB
"""

import click
from segments_build import measure as build

PARTS = {"build": build}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def main(parts: tuple[str, ...]) -> None:
    """Run the parts (all by default)."""
    for part in parts or tuple(PARTS):
        click.echo(f"── {part}")
        PARTS[part]()


if __name__ == "__main__":
    main()
