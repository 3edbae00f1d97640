"""The stream's evaluator over random worlds: at every instant its members are those of the batch.

The batch is held to the oracle by the other property test; here both evaluate the same worlds, the stream by events as they
are received, by due times, and in calls of any size.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import HealthCheck, given, settings

from jobs.segments.live.core import Live
from jobs.segments.live.state import Arrivals
from segments.duckkit import ATTRIBUTES, EVENTS, Duck
from segments.events import Event
from segments.worlds import Case, worlds

CASES = 40
CALLS = 4
AROUND = timedelta(days=4)


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


def calls_of(case: Case) -> list[datetime]:
    """A few of the case's instants in the days in which most happens, the first and the last of those among them.

    Where there are percentiles everybody is due every day: years without events would cost a round for each.
    """
    moments = sorted({moment for group in case.groups for moment in group.moments})
    middle = moments[len(moments) // 2]
    moments = [moment for moment in moments if abs(moment - middle) <= AROUND]
    stride = max(1, len(moments) // CALLS)
    return sorted({*moments[::stride], moments[-1]})


def members_by_stream(case: Case, moments: list[datetime]) -> list[set[tuple[str, str]]]:
    """(segment, profile) at each of the moments."""
    with connected() as connection:
        live, waiting, found = Live(connection, case.world.catalogue), list(case.world.history), []
        for place, moment in enumerate(moments):
            come = [event for event in waiting if event.received_at <= moment]
            waiting = [event for event in waiting if event.received_at > moment]
            now = moment.replace(tzinfo=UTC)
            if place:
                live.advance(now, Arrivals(events(come)))
            else:
                live.begin(now, Arrivals(events(come), people(case)))
            found.append({(row["segment"], row["profile_id"]) for row in live.memberships().to_pylist()})
    return found


@settings(max_examples=CASES, deadline=None, print_blob=True, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_members_of_stream_and_batch_are_the_same(case: Case) -> None:
    moments = calls_of(case)
    asked = [(name, moment) for moment in moments for name in case.world.attributes]
    with connected() as connection:
        found = Duck(connection, case.world).ask(asked)
    segments = case.world.catalogue.segments
    batch = [
        {(s, name) for name in case.world.attributes for s in segments if found[name, moment][0][s]}
        for moment in moments
    ]
    for moment, ours, theirs in zip(moments, members_by_stream(case, moments), batch, strict=True):
        assert ours == theirs, f"at {moment}"
