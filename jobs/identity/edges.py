"""From identifier rows to distinct identifiers (nodes) and distinct links (edges), aggregated by DuckDB.

An event links all its identifiers to the strongest one it carries: a star has the same components as all pairs, with
fewer edges, and each edge reads as evidence ("this browser was seen with this account").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.identity.rules import Rules

EVENTS_KEPT = 5  # of a link: the first ones and the last
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

# Rows of silver that may say whose something is.
LET_THROUGH = """
    list_contains($types, identifier_type)
        and not list_contains($blocked, lower(trim(identifier_value)))
        and not list_contains($blocked_of_type, identifier_type || '|' || lower(trim(identifier_value)))
        and not regexp_full_match(trim(identifier_value), $pattern)
"""

NODES = f"""
create or replace temp table identity_nodes as
select
    row_number() over (order by type_rank, first_seen, identifier_value) - 1 as node,
    type_rank, identifier_type, identifier_value, first_seen, last_seen, event_count, is_simulated, first_event
from (
    select
        identifier_type,
        identifier_value,
        list_position($types, identifier_type) - 1 as type_rank,
        min(effective_at) as first_seen,
        max(effective_at) as last_seen,
        count(*) as event_count,
        bool_and(is_simulated) as is_simulated,
        min(struct_pack(at := effective_at, source := source, event_id := event_id)) as first_event
    from silver_identifiers
    where {LET_THROUGH}
    group by identifier_type, identifier_value
)
"""

# Most events carry one identifier or two; of two, the smallest and the largest number are the whole set, which costs a
# third of the memory of collecting lists. Only larger events are collected.
EVENTS = """
create or replace temp table identity_events as
select
    i.source,
    i.event_id,
    count(*) as members,
    min(n.node) as a,
    max(n.node) as b,
    min(i.effective_at) as seen_at,
    i.source || '|' || i.event_id as event,
    bool_and(i.is_simulated) as is_simulated
from silver_identifiers as i
inner join identity_nodes as n
    on i.identifier_type = n.identifier_type and i.identifier_value = n.identifier_value
group by i.source, i.event_id
having min(n.node) < max(n.node)
"""

EDGES = f"""
with links as (
    select a, b, seen_at, event, is_simulated
    from identity_events
    where members = 2
    union all
    select distinct e.a, n.node as b, e.seen_at, e.event, e.is_simulated
    from identity_events as e
    inner join silver_identifiers as i on e.source = i.source and e.event_id = i.event_id
    inner join identity_nodes as n
        on i.identifier_type = n.identifier_type and i.identifier_value = n.identifier_value
    where e.members > 2 and e.a < n.node
    union all
    -- A former id does not say whether it was a browser's or an account's: it is joined with those that have its value.
    select distinct
        o.node as a, p.node as b, i.effective_at as seen_at, i.source || '|' || i.event_id as event, i.is_simulated
    from silver_identifiers as i
    inner join identity_nodes as p on i.identifier_type = p.identifier_type and i.identifier_value = p.identifier_value
    inner join identity_nodes as o on o.identifier_value = p.identifier_value and o.node < p.node
    where i.identifier_type = 'previous_id' and o.identifier_type in ('user_id', 'anonymous_id')
),

seen as (
    select
        a,
        b,
        min(seen_at) as first_seen,
        max(seen_at) as last_seen,
        count(*) as event_count,
        bool_and(is_simulated) as is_simulated,
        min(struct_pack(at := seen_at, event := event), {EVENTS_KEPT - 1}) as earliest,
        max(struct_pack(at := seen_at, event := event)) as latest
    from links
    group by a, b
)

select
    a,
    b,
    first_seen,
    last_seen,
    event_count,
    is_simulated,
    list_transform(earliest, lambda one: one.event)
        || case when event_count >= {EVENTS_KEPT} then [latest.event] else [] end as events
from seen
"""

SEEN = "epoch_us(first_seen) as first_seen, epoch_us(last_seen) as last_seen, event_count"
FIRST_EVENT = "first_event.source || '|' || first_event.event_id as first_event"


class Connection(Protocol):
    """What is asked of the DuckDB connection that a caller hands in; it must know a relation `silver_identifiers`."""

    def execute(self, query: Any, parameters: Any = ...) -> Any:
        """Runs one statement."""


@dataclass(frozen=True)
class Nodes:
    """Distinct identifiers. The index is the node number; nodes are sorted by (type rank, first seen, value).

    `first_seen` and `last_seen` are microseconds since 1970 UTC; `first_event` is `source|event_id`.
    `is_simulated` is true where every row of the identifier is simulated.
    """

    types: list[str]
    values: list[str]
    type_rank: Ints
    first_seen: Ints
    last_seen: Ints
    event_count: Ints
    is_simulated: Mask
    first_event: list[str]

    def __len__(self) -> int:
        return len(self.values)

    def by_age(self) -> Ints:
        """Node numbers, oldest first: by (first seen, type rank, value)."""
        numbers = np.arange(len(self), dtype=np.int64)  # node numbers are sorted by value within rank and first seen
        return np.lexsort((numbers, self.type_rank, self.first_seen)).astype(np.int64)


@dataclass(frozen=True)
class Edges:
    """Distinct links. `a` is the stronger end (a smaller node number), `b` the weaker; sorted by (a, b).

    `events` names for each the events that it was seen in (`source|event_id`), oldest first: all, or the first four and the last.
    Behind those that were seen stand links of matched records, with their `match_weight` in bits; it is NaN for the others.
    """

    a: Ints
    b: Ints
    first_seen: Ints
    last_seen: Ints
    event_count: Ints
    is_simulated: Mask
    events: pa.ChunkedArray
    match_weight: Floats

    def __len__(self) -> int:
        return len(self.a)

    def first_event(self, edge: int) -> str:
        """The event that the link was first seen in."""
        return str(self.events[edge][0])


def read_nodes(connection: Connection, rules: Rules, blocked_of_type: Sequence[str] = ()) -> Nodes:
    """The identifiers that the rules let through, one node each; `blocked_of_type` as `Rules.blocked_of_type` gives it."""
    connection.execute(NODES, _rules(rules, blocked_of_type))
    columns = f"type_rank, identifier_type, identifier_value, {SEEN}, is_simulated, {FIRST_EVENT}"
    found = connection.execute(f"select {columns} from identity_nodes order by node").to_arrow_table()
    return Nodes(
        types=found["identifier_type"].to_pylist(),
        values=found["identifier_value"].to_pylist(),
        type_rank=_ints(found, "type_rank"),
        first_seen=_ints(found, "first_seen"),
        last_seen=_ints(found, "last_seen"),
        event_count=_ints(found, "event_count"),
        is_simulated=found["is_simulated"].to_numpy().astype(np.bool_, copy=False),
        first_event=found["first_event"].to_pylist(),
    )


def known_among(
    connection: Connection, rules: Rules, said: Iterable[tuple[str, str]], blocked_of_type: Sequence[str] = ()
) -> set[tuple[str, str]]:
    """Those (type, value) of `said` that would be nodes."""
    pairs = sorted(said)
    names = ("identifier_type", "identifier_value")
    columns = [[pair[place] for pair in pairs] for place in (0, 1)]
    given = "select unnest($said_types) as identifier_type, unnest($said_values) as identifier_value"
    found = connection.execute(
        f"select distinct {', '.join(names)} from silver_identifiers semi join ({given}) using ({', '.join(names)}) "
        f"where {LET_THROUGH}",
        _rules(rules, blocked_of_type) | {"said_types": columns[0], "said_values": columns[1]},
    ).fetchall()
    return {(str(kind), str(value)) for kind, value in found}


def _rules(rules: Rules, blocked_of_type: Sequence[str]) -> dict[str, Any]:
    return {
        "types": rules.type_names,
        "blocked": [value.strip().lower() for value in rules.blocked_values],
        "blocked_of_type": list(blocked_of_type),
        "pattern": rules.blocked_pattern,
    }


def read_edges(connection: Connection) -> Edges:
    """The links between the nodes that `read_nodes` left in the connection."""
    connection.execute(EVENTS)
    found = connection.execute(
        f"select a, b, {SEEN}, is_simulated, events from ({EDGES}) order by a, b"
    ).to_arrow_table()
    connection.execute("drop table identity_events")
    return Edges(
        a=_ints(found, "a"),
        b=_ints(found, "b"),
        first_seen=_ints(found, "first_seen"),
        last_seen=_ints(found, "last_seen"),
        event_count=_ints(found, "event_count"),
        is_simulated=found["is_simulated"].to_numpy().astype(np.bool_, copy=False),
        events=found["events"],
        match_weight=np.full(found.num_rows, np.nan),
    )


def _ints(table: pa.Table, name: str) -> Ints:
    array: Ints = table[name].to_numpy().astype(np.int64, copy=False)
    return array
