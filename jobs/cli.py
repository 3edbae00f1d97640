"""`c360 <area> <verb>`: the one door for people and for Airflow tasks. Areas are imported only when they are called."""

import importlib
import sys
import traceback

import click

from jobs.core.command import HintingGroup
from jobs.core.context import Context
from jobs.core.errors import C360Error, ExitCode
from jobs.core.logging import configure_logging, redact
from jobs.core.settings import load_settings, prepare_process

# area -> (module that holds `group`, what the area does)
AREAS = {
    "run": ("jobs.pipeline.commands:run", "Run the whole pipeline on the embedded defaults (what `make run` does)."),
    "airflow": ("jobs.pipeline.commands:airflow", "Start Airflow with the c360 DAGs, on loopback only."),
    "ops": ("jobs.pipeline.ops:group", "What happened: summary, balance, runs, landing files."),
    "sample": ("jobs.sample.commands:group", "Make the default input: real retail data plus a simulated layer."),
    "ingest": ("jobs.ingest.commands:group", "Landing files to bronze, silver and quarantine (Spark streams)."),
    "collector": ("jobs.ingest.collector.commands:group", "HTTP door for events (Segment API): serve, write keys."),
    "quarantine": (
        "jobs.ingest.quarantine.commands:group",
        "What was set aside: list, show, patch rules, replay, discard.",
    ),
    "contracts": ("jobs.contracts.commands:group", "What producers promise: show, export as JSON Schema, compare."),
    "sources": (
        "jobs.contracts.source_commands:group",
        "Where messages come from; a first contract from a sample file.",
    ),
    "maintain": (
        "jobs.maintenance.commands:group",
        "Compact, retain, vacuum: the lake small, raw payloads not kept too long.",
    ),
    "quality": ("jobs.quality.commands:group", "Gates: check tables against their contracts, block on failure."),
    "identity": ("jobs.identity.commands:group", "Resolve identifiers to profiles, explain a profile."),
    "segments": ("jobs.segments.commands:group", "Check segment definitions, compile them to dbt models."),
    "warehouse": ("jobs.warehouse.commands:group", "Build with dbt, publish atomically, query read-only."),
    "models": ("models.commands:group", "Train, evaluate, promote and score the ML models."),
    "privacy": ("jobs.privacy.commands:group", "Secret keys: which there are, rotate, retire."),
    "sync": ("jobs.sync.commands:group", "Carry segments to destinations: plan, deliver, acknowledge."),
    "lake": ("jobs.lake.commands:group", "Delta tables and the Spark jars: list, create, count, fetch."),
    "config": ("jobs.pipeline.config:group", "Show the settings and where each value comes from."),
}

EXAMPLES = """
\b
Examples:
  c360 run                              the whole pipeline, on the embedded defaults
  c360 ingest run                       load what is new in landing/
  c360 warehouse sql "select count(*) from marts.dim_profiles"
  c360 ops summary                      figures of the last run, per stage
"""


class AreaGroup(click.Group):
    """Resolves areas lazily, so that `c360 --help` imports no engine; suggests the nearest name on a typo."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The areas, in the order a newcomer meets them."""
        return list(AREAS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the area's module on first use; None for an unknown name."""
        if cmd_name not in AREAS:
            return None
        module, _, attribute = AREAS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        command.short_help = command.short_help or AREAS[cmd_name][1]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists areas from the table above, without importing them."""
        with formatter.section("Areas"):
            formatter.write_dl([(name, text) for name, (_, text) in AREAS.items()])


class RootGroup(AreaGroup, HintingGroup):
    """The root: lazy areas with hints."""


@click.group(
    cls=RootGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(package_name="c360")
@click.option(
    "--home", type=click.Path(file_okay=False), help="Folder of everything a run makes. [C360_HOME, default .c360]"
)
@click.pass_context
def cli(ctx: click.Context, home: str | None) -> None:
    """c360: open customer-data and personalization pipeline."""
    prepare_process()
    settings = load_settings(home=home)
    configure_logging(settings.log_level)
    ctx.obj = Context.from_settings(settings)


def main() -> None:
    """Entry point: expected errors become one line on standard error and their exit code, others a traceback and 1.

    Both are redacted: engines put the value that they choke on into their messages.
    """
    try:
        result = cli.main(standalone_mode=False)
        sys.exit(int(result) if isinstance(result, int) else ExitCode.OK)
    except click.exceptions.Abort:
        click.echo("c360: stopped", err=True)
        sys.exit(ExitCode.FAILED)
    except click.UsageError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except C360Error as error:
        click.echo(f"c360: {redact(str(error))}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        click.echo(redact("".join(traceback.format_exception(error))), err=True, nl=False)
        sys.exit(ExitCode.FAILED)


if __name__ == "__main__":
    main()
