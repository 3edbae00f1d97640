"""What all DAGs have in common: owner, retries, pools, and the closed list of tags."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

# One slot: DuckDB has one writer, and the private build file is shared by build, gate and publish.
WAREHOUSE_POOL = "warehouse"


class Tag(StrEnum):
    """Tags a DAG may carry: one layer and one tier."""

    LAYER_LANDING = "layer:landing"
    LAYER_LAKE = "layer:lake"
    LAYER_SILVER = "layer:silver"
    LAYER_MARTS = "layer:marts"
    LAYER_MODELS = "layer:models"
    LAYER_ACTIVATION = "layer:activation"
    TIER_CRITICAL = "tier:critical"
    TIER_STANDARD = "tier:standard"


# A second try covers a lock held or a service away; what cannot be helped by it fails at once (see the operator).
DEFAULT_ARGS: dict[str, Any] = {
    "owner": "c360",
    "retries": 1,
    "retry_delay": timedelta(seconds=10),
    "execution_timeout": timedelta(hours=2),
}


def dag_defaults(*tags: Tag) -> dict[str, Any]:
    """Arguments of every DAG: one run at a time, no catching up (a run loads all that is new), the tags given."""
    return {
        "start_date": datetime(2018, 1, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "default_args": DEFAULT_ARGS,
        "tags": [str(tag) for tag in tags],
    }


def in_warehouse(position: int) -> dict[str, Any]:
    """Arguments of a task in the warehouse pool.

    `position` within its DAG, from 1: a later one goes first, so that a build that has begun is judged and published
    before another DAG's build takes the slot.
    """
    return {"pool": WAREHOUSE_POOL, "priority_weight": position * 10, "weight_rule": "absolute"}
