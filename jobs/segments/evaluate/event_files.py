"""Members by a file of events, without a lake: `c360 segments evaluate`, by the batch's way or the stream's."""

import csv
import json
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from jobs.core.context import Context
from jobs.lake.duck import connect
from jobs.segments.evaluate.event_lines import Refused, read_lines
from jobs.segments.evaluate.local import Evaluator
from jobs.segments.language.catalogue import load
from jobs.segments.language.model import Catalogue
from jobs.segments.live.core import Live
from jobs.segments.live.state import TYPES, Arrivals

# The stream's way takes a file in micro-batches of so many events, in the order of their receipt.
MICRO_BATCH = 1_000
SHAPE = pa.schema(
    [(name, pa.string()) for name in ("profile_id", "event_key", "name")]
    + [(name, pa.timestamp("us", tz="UTC")) for name in ("effective_at", "received_at")]
    + [("receive_position", pa.int64()), ("properties", pa.string()), ("is_simulated", pa.bool_())]
)
Members = list[tuple[str, str]]


@dataclass(frozen=True)
class Done:
    """How an evaluation of a file went."""

    events: int
    refused: int
    members: int

    @property
    def told(self) -> str:
        """One line."""
        return f"{self.events} events, {self.refused} lines refused, {self.members} memberships"


def evaluate_file(
    context: Context, events: Path, definitions: Path, moment: datetime, *, is_stream: bool, out: Path
) -> Done:
    """Writes `out` (profile_id,segment, sorted) and, when lines were refused, them and why to `<out>.refused.jsonl`.

    Who exists is who has an event received by the moment; attributes of a warehouse are unknown, but that nobody is simulated.
    """
    catalogue = load(definitions)
    lines = list(read_lines(events))
    refused = [line for line in lines if isinstance(line, Refused)]
    table = pa.Table.from_pylist([line for line in lines if isinstance(line, dict)], schema=SHAPE)
    with closing(connect(context.settings)) as connection:
        connection.register("lines", table)
        connection.execute("create table history as from lines where received_at <= $1", [moment])
        members = (streamed if is_stream else evaluated)(connection, catalogue, moment)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("profile_id", "segment"), *sorted(members)])
    beside = out.with_name(f"{out.name}.refused.jsonl")
    beside.unlink(missing_ok=True)
    if refused:
        beside.write_text("".join(json.dumps(asdict(line)) + "\n" for line in refused), encoding="utf-8")
    return Done(table.num_rows, len(refused), len(members))


def evaluated(connection: Any, catalogue: Catalogue, moment: datetime) -> Members:
    """(profile_id, segment) of the members at a moment, by the batch's way over the table `history`."""
    run = connection.execute
    run(
        "create or replace table eval_events as select * replace (cast(effective_at as timestamp) as effective_at,"
        " cast(received_at as timestamp) as received_at) from history"
    )
    unknown = "".join(
        f', cast({"false" if name == "is_simulated" else "null"} as {TYPES[kind]}) as "{name}"'
        for name, kind in catalogue.attributes.items()
    )
    run(f"create or replace table attributes as select distinct profile_id{unknown} from history")
    at = moment.astimezone(UTC).replace(tzinfo=None)
    run("create or replace table asked as select profile_id, cast($1 as timestamp) as as_of from attributes", [at])
    return members_of(Evaluator(catalogue).evaluate(connection), catalogue)


def streamed(connection: Any, catalogue: Catalogue, moment: datetime) -> Members:
    """The same by the stream's way: micro-batches in the order of receipt, then the time up to the moment."""
    live = Live(connection, catalogue)
    ordered = connection.execute("from history order by received_at, receive_position").to_arrow_table()
    slices = [ordered.slice(start, MICRO_BATCH) for start in range(0, ordered.num_rows, MICRO_BATCH)]
    if not slices:
        return []
    live.begin(ordered["received_at"][0].as_py(), Arrivals())
    for part in slices:
        live.advance(part["received_at"][-1].as_py(), Arrivals(part))
    live.advance(moment)
    return [(row["profile_id"], row["segment"]) for row in live.memberships().to_pylist()]


def members_of(result: pa.Table, catalogue: Catalogue) -> Members:
    """(profile_id, segment) of the members in the rows of a program's result."""
    found: Members = []
    for name in catalogue.segments:
        inside = result.filter(result[f"in_{name}"])
        found += [(profile, name) for profile in inside["profile_id"].to_pylist()]
    return found
