"""What persons have decided on pairs of records: table `identity_decisions`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema

TABLE = "identity_decisions"
ACCEPTED, REJECTED = "accepted", "rejected"


@dataclass(frozen=True)
class Decision:
    """The last word on a pair of records, by their names as `identity_matches` has them."""

    record_a: str
    record_b: str
    decision: str


def read_decisions(settings: Settings) -> dict[str, Decision]:
    """By pair id."""
    rows = sorted(delta.read(settings, TABLE).to_pylist(), key=lambda row: row["number"])
    return {row["pair_id"]: Decision(row["record_a"], row["record_b"], row["decision"]) for row in rows}


def decide(context: Context, pair: Mapping[str, Any], decision: str) -> bool:
    """Writes the decision on a row of `identity_matches` down, unless it is decided so already; whether it did."""
    last = read_decisions(context.settings).get(pair["pair_id"])
    if last is not None and last.decision == decision:
        return False
    row = {name: pair[name] for name in ("pair_id", "record_a", "record_b", "is_simulated")}
    number = delta.row_count(context.settings, TABLE)
    row |= {"number": number, "decision": decision, "decided_at": context.clock.now(), "run_id": context.run_id}
    delta.append(context.settings, TABLE, pa.Table.from_pylist([row], schema=arrow_schema(lake_table(TABLE).contract)))
    return True
