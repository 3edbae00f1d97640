"""`c360 segments replay`: a period of the lake through the stream's evaluator, compared with the batch's at sampled moments.

Both read the same events, identity map and attributes, as they are now; the stream's way takes them in micro-batches in the
order of their receipt, the batch's way looks at everybody at once. Differences are rows of `ops_parity`.
"""

import logging
import random
import re
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.errors import GateError, UsageError
from jobs.lake import delta
from jobs.lake.duck import connect
from jobs.lake.schema import arrow_schema
from jobs.segments.evaluate.event_files import members_of
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.model import Catalogue
from jobs.segments.live.core import Live
from jobs.segments.live.sources import Sources, attribute_types
from jobs.segments.live.state import Arrivals

log = logging.getLogger(__name__)
DISTANCE = re.compile(r"^([1-9][0-9]{0,4})(m|h|d)$")
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
MOST_MOMENTS = 10_000
FIRST_SEEN = (
    "create table first_seen as select profile_id, min(received_at) as seen_at from silver_identifiers"
    " inner join sighted_owners using (identifier_type, identifier_value) group by profile_id"
)


def sampled(start: datetime, end: datetime, *, every: str | None, count: int | None, seed: int) -> list[datetime]:
    """The moments to compare at, ascending, the last one `end`: at a distance, or so many random ones."""
    if end <= start:
        raise UsageError("--to must lie after --from")
    if every and count:
        raise UsageError("--every or --instants, not both")
    if count:
        span, chance = int((end - start) / timedelta(microseconds=1)), random.Random(seed)  # noqa: S311 - no secret
        log.info("moments drawn with seed %d", seed)
        return sorted({start + timedelta(microseconds=chance.randint(1, span)) for _ in range(count - 1)} | {end})
    found = DISTANCE.match(every or "6h")
    if not found:
        raise UsageError(f"--every {every!r}: expected a count with m, h or d, such as 6h")
    step = int(found[1]) * UNITS[found[2]]
    if (end - start) / step > MOST_MOMENTS:
        raise UsageError(f"more than {MOST_MOMENTS} comparisons; choose a larger --every")
    moments = [start + step * number for number in range(1, int((end - start) / step) + 1)]
    return moments if moments and moments[-1] == end else [*moments, end]


def run_replay(
    context: Context, start: datetime, moments: Sequence[datetime], *, catalogue: Catalogue, batches: int = 4
) -> str:
    """One line on how it went; raises GateError (exit code 3) when stream and batch differ anywhere."""
    settings = context.settings
    delta.ensure_all(settings)
    with ExitStack() as stack:
        connection, other = (stack.enter_context(connect(settings)) for _ in range(2))
        live = Live(connection, catalogue, attribute_types(settings, list(catalogue.attributes)))
        run = Replay(live, Batch(other, catalogue), batches)
        run.prepare(settings)
        run.begin(start)
        differences = [row for moment in moments for row in run.compared(moment)]
    if differences:
        _record(context, live, differences)
        first = differences[0]
        raise GateError(
            f"{len(differences)} differences between stream and batch in {len(moments)} comparisons, the first at"
            f" {first['instant']:%Y-%m-%dT%H:%M:%S.%fZ} in {first['segment']}; see ops_parity, run {context.run_id}"
        )
    return f"{len(moments)} comparisons, {run.changes} changes, {run.memberships} memberships compared: 0 differences"


class Batch:
    """The batch's way: everybody, at once, at one moment."""

    def __init__(self, connection: Any, catalogue: Catalogue) -> None:
        self.connection = connection
        self.evaluator = Evaluator(catalogue)

    def read(self, events: pa.Table, profiles: pa.Table) -> None:
        """Takes over what both read: events with their profiles; profiles with attributes and when they were first seen."""
        self.connection.register("event_rows", events)
        times = "cast(effective_at as timestamp) as effective_at, cast(received_at as timestamp) as received_at"
        self.connection.execute(f"create table eval_events as select * replace ({times}) from event_rows")
        self.connection.register("profile_rows", profiles)
        self.connection.execute("create table everybody as from profile_rows")

    def members(self, moment: datetime) -> set[tuple[str, str]]:
        """(profile_id, segment) at a moment, of who was seen by then."""
        run = self.connection.execute
        run(
            "create or replace table attributes as select * exclude (seen_at) from everybody where seen_at <= $1",
            [moment],
        )
        run(
            "create or replace table asked as select profile_id, cast(cast($1 as timestamptz) as timestamp) as as_of"
            " from attributes",
            [moment],
        )
        return set(members_of(self.evaluator.evaluate(self.connection), self.evaluator.catalogue))


class Replay:
    """The stream's way beside the batch's, from moment to moment."""

    def __init__(self, live: Live, batch: Batch, batches: int) -> None:
        self.live = live
        self.batch = batch
        self.batches = batches
        self.reached: datetime | None = None
        self.changes = 0
        self.memberships = 0

    def prepare(self, settings: Any) -> None:
        """Reads the lake once, for both."""
        connection = self.live.connection
        Sources(settings, self.live).load()
        connection.execute(FIRST_SEEN)
        connection.execute("create table profiles_seen as from profiles_now inner join first_seen using (profile_id)")
        events = "select * from owned_events"
        self.batch.read(
            connection.execute(events).to_arrow_table(), connection.execute("from profiles_seen").to_arrow_table()
        )

    def begin(self, start: datetime) -> None:
        """What was known at the start."""
        self.live.begin(start, self._arrivals(None, start))
        self.reached = start

    def compared(self, moment: datetime) -> list[dict[str, Any]]:
        """Goes on to a moment in micro-batches; gives the differences there."""
        assert self.reached is not None
        step = (moment - self.reached) / self.batches
        for number in range(1, self.batches + 1):
            until = moment if number == self.batches else self.reached + step
            if until > self.reached:
                self.changes += self.live.advance(until, self._arrivals(self.reached, until)).num_rows
                self.reached = until
        ours = {(row["profile_id"], row["segment"]) for row in self.live.memberships().to_pylist()}
        theirs = self.batch.members(moment)
        self.memberships += len(theirs)
        log.info("%s: %d memberships, %d differences", moment.isoformat(), len(theirs), len(ours ^ theirs))
        return [
            {"instant": moment, "segment": segment, "profile_id": profile,
             "in_stream": (profile, segment) in ours, "in_batch": (profile, segment) in theirs}
            for profile, segment in sorted(ours ^ theirs)
        ]  # fmt: skip

    def _arrivals(self, after: datetime | None, until: datetime) -> Arrivals:
        connection = self.live.connection
        since = "{0} <= $until" if after is None else "{0} <= $until and {0} > $after"
        values = {"until": until} | ({"after": after} if after else {})
        events = f"select * from owned_events where {since.format('received_at')}"
        people = f"select * exclude (seen_at) from profiles_seen where {since.format('seen_at')}"
        return Arrivals(
            connection.execute(events, values).to_arrow_table(), connection.execute(people, values).to_arrow_table()
        )


def _record(context: Context, live: Live, differences: list[dict[str, Any]]) -> None:
    fixed = {"run_id": context.run_id, "recorded_at": context.clock.now()}
    rows = [row | fixed | {"definition_version": live.versions[row["segment"]]} for row in differences]
    delta.append(
        context.settings,
        "ops_parity",
        pa.Table.from_pylist(rows, schema=arrow_schema(lake_table("ops_parity").contract)),
    )
