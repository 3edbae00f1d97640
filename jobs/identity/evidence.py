"""Table `identity_edges`: every link that the last run knew, with what proves it, and why it joins nothing where it is cut."""

import numpy as np
import pyarrow as pa

from jobs.identity.components import CUTS, KEPT, Components
from jobs.identity.edges import Edges, Ints, Nodes

TABLE = "identity_edges"
KEY = ("stronger_type", "stronger_value", "weaker_type", "weaker_value")


def rows(nodes: Nodes, edges: Edges, components: Components) -> pa.Table:
    """One row per link, sorted by the key."""
    types, values = pa.array(nodes.types, pa.string()), pa.array(nodes.values, pa.string())
    reasons = pa.array([why.value for why in CUTS], pa.string())
    kept = components.cut == KEPT
    table = pa.table(
        {
            "stronger_type": types.take(pa.array(edges.a)),
            "stronger_value": values.take(pa.array(edges.a)),
            "weaker_type": types.take(pa.array(edges.b)),
            "weaker_value": values.take(pa.array(edges.b)),
            "first_seen_at": _moments(edges.first_seen),
            "last_seen_at": _moments(edges.last_seen),
            "event_count": pa.array(edges.event_count),
            "events": edges.events,
            "match_weight": pa.array(edges.match_weight, mask=np.isnan(edges.match_weight)),
            "is_kept": pa.array(kept),
            "cut_reason": reasons.take(pa.array(components.cut, mask=kept)),
            "is_simulated": pa.array(edges.is_simulated),
        }
    )
    return table.sort_by([(name, "ascending") for name in KEY])


def _moments(microseconds: Ints) -> pa.Array:
    return pa.array(microseconds.astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))
