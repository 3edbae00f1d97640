"""`make chaos`, or `PYTHONPATH=tests python -m chaos`: the crash drill and the sabotages, with progress and one verdict."""

import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
from settingskit import SHARED_HOME, make_settings

from chaos.drill import Report, Say, run_drill
from chaos.processes import DrillError
from chaos.sender import SenderError
from chaos.tiers import TIERS, sized
from jobs.core.logging import configure_logging
from jobs.core.settings import Settings, prepare_process
from jobs.lake.jars import fetch

SEED = 20180102


@click.command()
@click.option("--tier", type=click.Choice(list(TIERS)), default="A", show_default=True)
@click.option("--seed", default=SEED, show_default=True, help="Same seed, same messages and plan of deaths.")
@click.option("--events", type=int, help="Other than the tier's number of events.")
@click.option("--rounds", type=int, help="Other than the tier's number of rounds.")
@click.option("--home", type=click.Path(path_type=Path), help="Where to work; emptied first. [.c360-test/chaos]")
@click.option("--only", type=click.Choice(["drill", "sabotage"]), help="One of the two parts.")
@click.option("--story", multiple=True, help="Only these sabotages.")
def main(
    *,
    tier: str,
    seed: int,
    events: int | None,
    rounds: int | None,
    home: Path | None,
    only: str | None,
    story: tuple[str, ...],
) -> None:
    """Kill the collector and the ingest service again and again while events come in; then count every one of them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no child outlives us
    prepare_process()
    configure_logging("WARNING")
    place = (home or SHARED_HOME / "chaos").resolve()
    _fetch_jars()
    shutil.rmtree(place, ignore_errors=True)
    say, wanted, begun = _teller(time.monotonic()), sized(TIERS[tier], events=events, rounds=rounds), time.monotonic()
    red: list[str] = []
    say(f"chaos: tier {tier}, seed {seed}, {wanted.events:,} events, {wanted.kills} kills; working in {place}")
    if only != "sabotage":
        red += _drill(lambda: run_drill(wanted, seed, _settings(place / "drill"), say), say)
    if only != "drill" and not red:
        from chaos.sabotage import run_sabotages

        red += _guarded(lambda: run_sabotages(seed, place / "sabotage", say, story))
    minutes = (time.monotonic() - begun) / 60
    if minutes > wanted.minutes:
        red.append(f"it took {minutes:.1f} minutes of {wanted.minutes}")
    for line in red:
        click.echo(f"  red: {line}")
    click.echo(f"chaos: {'RED' if red else 'green'} · tier {tier} · seed {seed} · {minutes:.1f} minutes")
    sys.exit(1 if red else 0)


def _settings(home: Path) -> Settings:
    return make_settings(home, now=None)


def _teller(begun: float) -> Say:
    return lambda text: click.echo(f"[{time.monotonic() - begun:5.0f} s] {text}")


def _drill(act: Callable[[], Report], say: Say) -> list[str]:
    reports: list[Report] = []
    red = _guarded(lambda: _kept(act(), reports))
    for report in reports:
        for name, value in report.figures.items():
            say(f"  {name}: {value}")
        say(f"  failpoints: {', '.join(sorted(report.fired))}")
        click.echo(str(report.verdict))
        red += report.problems
        red += [f"{fault}: {what}" for fault, shown in report.verdict.examples.items() for what in shown]
        if not report.is_green and not red:
            red.append(f"recovered {report.verdict.recovered} of {report.verdict.on_their_way} on their way")
    return red


def _kept(report: Report, reports: list[Report]) -> list[str]:
    reports.append(report)
    return []


def _guarded(act: Callable[[], list[str]]) -> list[str]:
    try:
        return act()
    except (DrillError, SenderError) as error:
        return [str(error)]


def _fetch_jars() -> None:
    SHARED_HOME.mkdir(exist_ok=True)
    with (SHARED_HOME / "jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetch(Settings(home=SHARED_HOME))


if __name__ == "__main__":
    main()
