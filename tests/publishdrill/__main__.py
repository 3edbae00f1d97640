"""`make drill-publish`, or `PYTHONPATH=tests python -m publishdrill`: the publish drill, with progress and one verdict."""

import sys
import tempfile
from pathlib import Path

import click
from settingskit import make_settings

from jobs.core.failpoints import Sabotage
from jobs.core.settings import prepare_process
from publishdrill.drill import Plan, run_drill


@click.command()
@click.option("--publishes", default=300, show_default=True)
@click.option("--kills", default=50, show_default=True)
@click.option("--pause", default=0.0, show_default=True, help="Seconds of a reader between two reads.")
@click.option("--seed", default=20180102, show_default=True)
@click.option("--sabotage", type=click.Choice([str(Sabotage.PUBLISH_BY_COPY)]), help="Must end red.")
def main(publishes: int, kills: int, pause: float, seed: int, sabotage: str | None) -> None:
    """Publishes under readers and kills; exit code 1 when a reader noticed or something did not happen."""
    prepare_process()
    with tempfile.TemporaryDirectory(prefix="c360-publish-") as place:
        settings = make_settings(
            Path(place) / "home", duckdb_memory="500MB", duckdb_threads=1, sabotage=sabotage, testing=bool(sabotage)
        )
        plan = Plan(publishes, kills, pause=pause)
        report = run_drill(settings, plan, seed, lambda text: click.echo(text, err=True))
    click.echo(f"seed {seed}: {report.line()}")
    for name, count in sorted(report.kills.items()):
        click.echo(f"  killed at {name}: {count}")
    for problem in report.problems:
        click.echo(f"RED: {problem}", err=True)
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
