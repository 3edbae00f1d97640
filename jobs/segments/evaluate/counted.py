"""The events that a part of a rule looks at, for who must be told why."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlglot import exp

from jobs.segments.compile.collect import Needs
from jobs.segments.compile.nodes import column
from jobs.segments.compile.portable import to_sql
from jobs.segments.compile.program import event_steps
from jobs.segments.compile.windows import within
from jobs.segments.language.events import Measure

MOST = 5


def counted_events(connection: Any, measures: Sequence[Measure], zone: str) -> list[tuple[str, str, datetime]]:
    """The latest of the events that lie in the window of one of the measures, for the one profile and moment in `asked`.

    Rows of (event_key, name, effective_at), the latest first, at most five.
    """
    needs = Needs()
    counted = [exp.and_(needs.mark(measure), *within(measure, zone)) for measure in measures]
    steps = event_steps(needs)
    moments = ("moments", exp.select("profile_id", "as_of").distinct().from_("asked"))
    query = exp.select("event_key", "name", "effective_at").from_(steps[-1][0])
    query = query.where(exp.or_(*counted))
    query = query.order_by(exp.Ordered(this=column("effective_at"), desc=True), "event_key").limit(MOST)
    for name, step in (moments, *steps):
        query = query.with_(name, as_=step)
    found: list[tuple[str, str, datetime]] = connection.execute(to_sql(query)).fetchall()
    return found
