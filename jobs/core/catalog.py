"""Every lake table, declared once: its name, layer, path and partitioning. Its columns stand in `expectations/contracts`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from expectations import contracts
from jobs.core.errors import UsageError
from jobs.core.settings import Settings


class Layer(StrEnum):
    """Layers of the lake."""

    BRONZE = "bronze"
    SILVER = "silver"
    QUARANTINE = "quarantine"
    GOLD = "gold"
    OPS = "ops"


@dataclass(frozen=True)
class LakeTable:
    """One Delta table. `folder` is relative to the lake; `raw_pii` marks tables whose folder is closed to others."""

    name: str
    layer: Layer
    folder: str
    partition_by: tuple[str, ...] = ()
    raw_pii: bool = False

    @property
    def contract(self) -> contracts.TableContract:
        """The columns, key and grain."""
        return contracts.table(self.name)

    @property
    def asset_uri(self) -> str:
        """Identity of the table between DAGs; the same on a laptop and on a cluster."""
        return f"c360://lake/{self.folder}"

    def path(self, settings: Settings) -> Path:
        """Where the table lives."""
        return settings.lake / self.folder


def _declare(*tables: LakeTable) -> dict[str, LakeTable]:
    return {table.name: table for table in tables}


TABLES = _declare(
    LakeTable("bronze_messages", Layer.BRONZE, "bronze/messages", ("landed_date",), raw_pii=True),
    LakeTable("silver_events", Layer.SILVER, "silver/events"),
    LakeTable("silver_identifiers", Layer.SILVER, "silver/identifiers"),
    LakeTable("silver_records", Layer.SILVER, "silver/records", ("object",)),
    LakeTable("consents", Layer.SILVER, "silver/consents"),
    LakeTable("suppressions", Layer.SILVER, "silver/suppressions"),
    LakeTable("quarantine_messages", Layer.QUARANTINE, "quarantine/messages", raw_pii=True),
    LakeTable("profile_identifiers", Layer.SILVER, "silver/profile_identifiers"),
    LakeTable("profile_redirects", Layer.SILVER, "silver/profile_redirects"),
    LakeTable("identity_edges", Layer.SILVER, "silver/identity_edges"),
    LakeTable("identity_ledger", Layer.SILVER, "silver/identity_ledger"),
    LakeTable("identity_assignments", Layer.SILVER, "silver/identity_assignments"),
    LakeTable("identity_separations", Layer.SILVER, "silver/identity_separations"),
    LakeTable("identity_matches", Layer.SILVER, "silver/identity_matches"),
    LakeTable("identity_decisions", Layer.SILVER, "silver/identity_decisions"),
    LakeTable("identity_weights", Layer.SILVER, "silver/identity_weights"),
    LakeTable("segment_changes", Layer.SILVER, "silver/segment_changes"),
    LakeTable("trigger_decisions", Layer.SILVER, "silver/trigger_decisions"),
    LakeTable("journey_states", Layer.SILVER, "silver/journey_states"),
    LakeTable("gold_recommendations", Layer.GOLD, "gold/recommendations"),
    LakeTable("gold_profile_scores", Layer.GOLD, "gold/profile_scores"),
    LakeTable("gold_profile_clusters", Layer.GOLD, "gold/profile_clusters"),
    LakeTable("ops_outlier_statistics", Layer.OPS, "ops/outlier_statistics"),
    LakeTable("ops_keys", Layer.OPS, "ops/keys"),
    LakeTable("ops_token_aliases", Layer.OPS, "ops/token_aliases"),
    LakeTable("ops_blocked_identifiers", Layer.OPS, "ops/blocked_identifiers"),
    LakeTable("ops_runs", Layer.OPS, "ops/runs"),
    LakeTable("ops_balance", Layer.OPS, "ops/balance"),
    LakeTable("ops_landing_manifest", Layer.OPS, "ops/landing_manifest"),
    LakeTable("ops_kafka_topics", Layer.OPS, "ops/kafka_topics"),
    LakeTable("ops_accepted_gaps", Layer.OPS, "ops/accepted_gaps"),
    LakeTable("ops_dropped_messages", Layer.OPS, "ops/dropped_messages"),
    LakeTable("ops_retired_messages", Layer.OPS, "ops/retired_messages"),
    LakeTable("ops_quality_results", Layer.OPS, "ops/quality_results"),
    LakeTable("ops_model_metrics", Layer.OPS, "ops/model_metrics"),
    LakeTable("ops_parity", Layer.OPS, "ops/parity"),
    LakeTable("ops_sync_outcomes", Layer.OPS, "ops/sync_outcomes"),
)


def lake_table(name: str) -> LakeTable:
    """The declared table; raises UsageError with the known names."""
    try:
        return TABLES[name]
    except KeyError:
        raise UsageError(f"unknown lake table {name!r}; known: {', '.join(TABLES)}") from None
