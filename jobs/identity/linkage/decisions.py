"""What persons have decided on pairs of records: table `identity_decisions`."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

TABLE = "identity_decisions"
ACCEPTED, REJECTED = "accepted", "rejected"


def read_decisions(settings: Settings) -> dict[str, str]:
    """Pair id → accepted or rejected, the last word on each."""
    rows = delta.read(settings, TABLE).to_pylist()
    return {row["pair_id"]: row["decision"] for row in sorted(rows, key=lambda row: row["number"])}


def decide(context: Context, pair: Mapping[str, Any], decision: str) -> bool:
    """Writes the decision on a row of `identity_matches` down, unless it is decided so already; whether it did."""
    if read_decisions(context.settings).get(pair["pair_id"]) == decision:
        return False
    row = {name: pair[name] for name in ("pair_id", "record_a", "record_b", "is_simulated")}
    number = delta.row_count(context.settings, TABLE)
    row |= {"number": number, "decision": decision, "decided_at": context.clock.now(), "run_id": context.run_id}
    delta.append(context.settings, TABLE, pa.Table.from_pylist([row], schema=arrow_schema(lake_table(TABLE).contract)))
    return True
