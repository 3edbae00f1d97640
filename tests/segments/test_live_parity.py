"""The stream's evaluator over random worlds: at every instant its members are those of the oracle, and of the batch.

The stream takes the events as they are received, goes by due times, and is called in steps of any size; the oracle and the
batch look at everybody at the instant.
"""

import random
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, seed
from hypothesis import settings as hypothesis_settings

from jobs.segments.live.core import Live
from jobs.segments.live.state import Arrivals
from segments.duckkit import ATTRIBUTES, EVENTS, Duck
from segments.events import Event
from segments.oracle import Oracle
from segments.worlds import Case, worlds

# Rounds of so many catalogues, each with so many histories, until there are so many cases; more than enough rounds.
DRAWN, HISTORIES, CASES, ROUNDS = 20, 48, 2_000, 40
CALLS = 6
AROUND = timedelta(days=4)
Members = set[tuple[str, str]]


def connected() -> Any:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def events(found: list[Event]) -> pa.Table:
    table = pa.Table.from_pylist([vars(event) for event in found], EVENTS)
    return table.append_column("is_simulated", pa.array([True] * len(found), pa.bool_()))


def people(case: Case) -> pa.Table:
    rows = [{"profile_id": name, **row} for name, row in case.world.attributes.items()]
    table = pa.Table.from_pylist(rows, ATTRIBUTES)
    return table.append_column("is_simulated", pa.array([True] * len(rows), pa.bool_()))


def calls_of(case: Case, live: Live) -> list[datetime]:
    """A few of the case's instants, the first and the last among them.

    Where there are percentiles everybody is due every day, and years without events would cost a round for each: then those
    of the days in which most happens.
    """
    moments = sorted({moment for group in case.groups for moment in group.moments})
    if live.ranks.zones:
        middle = moments[len(moments) // 2]
        moments = [moment for moment in moments if abs(moment - middle) <= AROUND]
    stride = max(1, len(moments) // CALLS)
    return sorted({*moments[::stride], moments[-1]})


def members_by_stream(case: Case) -> list[tuple[datetime, Members]]:
    """(segment, profile) at each of the moments at which the stream was called."""
    with connected() as connection:
        live, waiting, found = Live(connection, case.world.catalogue), list(case.world.history), []
        for place, moment in enumerate(calls_of(case, live)):
            come = [event for event in waiting if event.received_at <= moment]
            waiting = [event for event in waiting if event.received_at > moment]
            now = moment.replace(tzinfo=UTC)
            if place:
                live.advance(now, Arrivals(events(come)))
            else:
                live.begin(now, Arrivals(events(come), people(case)))
            found.append((moment, {(row["segment"], row["profile_id"]) for row in live.memberships().to_pylist()}))
    return found


def test_members_of_stream_batch_and_oracle_are_the_same(
    request: pytest.FixtureRequest, record_segment_run: Any
) -> None:
    forced = request.config.getoption("--hypothesis-seed")
    number = int(forced) if forced not in (None, "random") else random.SystemRandom().randrange(2**32)
    counts = {"cases": 0, "memberships": 0}

    def check(case: Case) -> None:
        streamed = members_by_stream(case)
        oracle, segments, names = Oracle(case.world), case.world.catalogue.segments, list(case.world.attributes)
        with connected() as connection:
            batch = Duck(connection, case.world).ask((name, moment) for moment, _ in streamed for name in names)
        for moment, ours in streamed:
            wanted = {name: oracle.answers(name, moment) for name in names}
            assert ours == {(s, name) for name in names for s in segments if wanted[name][s]}, f"oracle at {moment}"
            theirs = {(s, name) for name in names for s in segments if batch[name, moment][0][s]}
            assert ours == theirs, f"batch at {moment}"
            counts["memberships"] += len(ours)
        counts["cases"] += len(case.groups)

    record_segment_run(f"stream, seed {number} (--hypothesis-seed={number})", counts)
    for place in range(ROUNDS):
        if counts["cases"] >= CASES:
            break
        drawn = worlds(string.ascii_letters[:HISTORIES])
        seed(number + place)(hypothesis_settings(max_examples=DRAWN)(given(drawn)(check)))()
    assert counts["cases"] >= CASES
