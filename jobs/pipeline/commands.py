"""`c360 run` and `c360 airflow`."""

import click

from jobs.core.command import pass_context
from jobs.core.context import Context
from jobs.core.errors import ExitCode


@click.command()
@click.option("--households", type=click.IntRange(min=1), help="Make the sample with this many households only. [all]")
@pass_context
def run(context: Context, households: int | None) -> int:
    """Run the whole pipeline on the embedded defaults.

    Makes the sample unless landing/ holds files of your own, then runs the DAGs one after the other: ingest, profiles,
    models, scores, syncs. Safe to repeat: unchanged input changes nothing. Stops at the first failure; 3 means a gate
    blocked, 4 that all ran but some input file was refused.

    \b
    Examples:
      c360 run                     everything, in C360_HOME (default .c360)
      c360 run --households 60     a small sample, to look around
    """
    from jobs.pipeline.render import render
    from jobs.pipeline.run import Pipeline
    from jobs.pipeline.summary import collect

    pipeline = Pipeline(context.settings, context.run_id, households or context.settings.sample_households)
    code = pipeline.execute()
    click.echo(render(collect(context.settings)))
    if code == ExitCode.REFUSED_INPUT:
        click.echo("done, but some input files were refused (exit code 4): c360 ops landing")
    return int(code)


@click.command()
@click.option("--port", type=click.IntRange(1024, 65535), help="Port of the UI and API. [C360_AIRFLOW_PORT, 8080]")
@pass_context
def airflow(context: Context, port: int | None) -> None:
    """Start Airflow with the c360 DAGs, on loopback only.

    Prints where to log in; Ctrl-C stops everything. Triggering ingest_events sets off the other DAGs through assets.
    The database is SQLite: trigger one DAG at a time, from the UI or with `airflow dags trigger`.

    \b
    Examples:
      c360 airflow                 http://127.0.0.1:8080
      c360 airflow --port 8081
    """
    from jobs.pipeline.serve import Server

    Server(context.settings, port or context.settings.airflow_port).run()
