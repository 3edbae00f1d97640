"""Decisions of triggers under load: how long after the occasion they are written, and whether each came once."""

from pathlib import Path

import click
import numpy as np

from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.segments.compile.occasions import occasions
from jobs.segments.language.catalogue import load as load_catalogue
from jobs.segments.triggers import ledger
from jobs.segments.triggers.files import load as load_book

LIMIT_DELAY = 300.0
WHY = "description: Used by the benchmarks of segments.\n"
FILES = {
    "policy.yml": "default_zone: UTC\npurposes: {marketing: {}}\n",
    "triggers/cart_left_alone.yml": (
        "occasion: {event: Product Added, not_followed_by: {event: [Order Completed, Product Added]}, within: 1 minute}\n"
        "lateness: 30 seconds\n"
    ),
    "triggers/ordered.yml": "occasion: {event: Order Completed, where: [{property: total, gte: 95}]}\nsends: false\n",
    "journeys/after_order.yml": (
        "start: ordered\nexpires: 1 hour\nsteps: {hello: {send: hello}, pause: {wait: 1 minute}, bye: {send: bye}}\n"
    ),
}


def write_triggers(folder: Path) -> None:
    """A policy, two triggers and a journey beside the segments."""
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"name: {file.stem}\n{WHY}{text}", encoding="utf-8")


def report(settings: Settings) -> None:
    """Delay of carts left, decisions made twice, and occasions that one query over all events finds and nobody decided."""
    rows = delta.read(settings, ledger.DECISIONS).to_pylist()
    delays = np.array([row["delay_seconds"] for row in rows if row["trigger_name"] == "cart_left_alone"])
    if not len(delays):
        raise SystemExit("no cart was decided on")
    p50, p95 = np.quantile(delays, 0.5), np.quantile(delays, 0.95)
    click.echo(
        f"{len(delays):,} carts left, decided p50 {p50:.0f} s, p95 {p95:.0f} s after the minute was over"
        f" (asked: at most {LIMIT_DELAY:.0f} s) {_verdict(p95 <= LIMIT_DELAY)}"
    )
    keys = [(row["occasion_id"], row["decision"]) for row in rows]
    twice = len(keys) - len(set(keys))
    found, wanted = {row["event_keys"][0] for row in rows if not row["journey_name"]}, _wanted(settings)
    lost = len(wanted - found)
    click.echo(
        f"{len(keys):,} decisions, twice: {twice}; of {len(wanted):,} occasions that one query over all events finds, lost:"
        f" {lost} {_verdict(not twice and not lost)}"
    )


def _wanted(settings: Settings) -> set[str]:
    """The events that are occasions between the first start and the end, one person per user."""
    folder = settings.home / "definitions"
    came = ledger.progress(settings)
    program = occasions(load_book(folder, load_catalogue(folder)).triggers)
    assert came is not None
    assert program is not None
    with lake_connection(settings, ("silver_events",)) as connection:
        connection.execute(
            "create view eval_events as select user_id as profile_id, source || '|' || event_id as event_key, name,"
            " cast(effective_at as timestamp) as effective_at, cast(received_at as timestamp) as received_at,"
            " receive_position, properties from silver_events"
        )
        connection.execute(
            "create table asked_occasions as select distinct profile_id, $1 as since, $2 as as_of from eval_events",
            [came.first, came.done],
        )
        connection.execute("create table fresh (event_key varchar)")
        connection.execute("create table open_messages (trigger_name varchar, event_key varchar)")
        rows = connection.execute(f"select event_key from ({program.query()}) where is_new").fetchall()
    return {str(key) for (key,) in rows}


def _verdict(is_good: bool) -> str:
    return "✓" if is_good else "✗ MISSED"
