"""What a stage reads and writes, as OpenLineage events (spec 2-0-2): NDJSON in `C360_HOME/logs/openlineage.ndjson`.

One START and one COMPLETE or FAIL per stage, with the DAG run as parent. Names of datasets only: no rows, no error texts.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from expectations import contracts
from jobs.core.catalog import TABLES, Layer
from jobs.core.context import Context
from jobs.core.settings import Settings

SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
PARENT_SPEC = "https://openlineage.io/spec/1-0-1/ParentRunFacet.json#/$defs/ParentRunFacet"
PRODUCER = "urn:c360:jobs.lake.lineage"
JOBS = "c360"
Dataset = tuple[str, str]  # namespace, name


def lineage_file(settings: Settings) -> Path:
    """One JSON event per line, in the order in which they happened."""
    return settings.home / "logs" / "openlineage.ndjson"


def _lake(*names: str) -> tuple[Dataset, ...]:
    return tuple(("c360://lake", TABLES[name].folder) for name in names)


def _layer(layer: Layer) -> tuple[Dataset, ...]:
    return _lake(*(name for name, table in TABLES.items() if table.layer is layer and table.contract.gated))


def _marts() -> tuple[Dataset, ...]:
    return tuple(("c360://warehouse", f"marts/{name}") for name in contracts.marts())


def _place(namespace: str, name: str) -> tuple[Dataset, ...]:
    return ((f"c360://{namespace}", name),)


IDENTITY = _lake(
    "profile_identifiers", "profile_redirects", "identity_ledger", "identity_assignments", "identity_edges",
    "identity_matches", "identity_weights", "ops_blocked_identifiers",
)  # fmt: skip
SCORES = _lake("gold_recommendations", "gold_profile_clusters")
SUBJECTS = _lake("profile_identifiers", "profile_redirects", "ops_token_aliases")
BUILT_FROM = (
    _lake(
        "silver_events", "silver_identifiers", "silver_records", "consents", "suppressions", "ops_blocked_identifiers"
    )
    + SUBJECTS
    + SCORES
    + _lake("gold_profile_scores", "identity_ledger", "trigger_decisions", "journey_states", "ops_sync_outcomes")
)
STREAMED = _lake(
    "bronze_messages", "silver_events", "silver_records", "silver_identifiers", "consents", "quarantine_messages",
    "ops_dropped_messages",
)  # fmt: skip
# (read, written) of the stages that the DAGs run between the sources and the destinations; `area.*` for those named by data.
STAGES: dict[str, tuple[tuple[Dataset, ...], tuple[Dataset, ...]]] = {
    "ingest.pull_*": (_place("pulls", "*"), _place("landing", "*")),
    "ingest.seal": (_place("landing", "*"), _place("sealed", "*") + _lake("ops_landing_manifest")),
    "ingest.stream": (_place("sealed", "*"), STREAMED),
    "ingest.service": (_place("landing", "*"), _lake("ops_landing_manifest") + STREAMED),
    "identity.run": (
        _place("vault", "person_records")
        + _lake("silver_identifiers", "identity_ledger", "identity_separations", "identity_decisions", "ops_token_aliases"),
        IDENTITY,
    ),
    "identity.train": (_place("vault", "person_records") + _lake("silver_identifiers"), _lake("identity_weights")),
    "warehouse.build": (BUILT_FROM, _place("warehouse", "build")),
    "warehouse.build_as_of": (BUILT_FROM, _place("warehouse", "as_of")),
    "warehouse.backfill": (BUILT_FROM, _place("warehouse", "as_of")),
    "quality.gate_silver": (_layer(Layer.SILVER), _lake("ops_quality_results")),
    "quality.gate_marts": (_place("warehouse", "build"), _lake("ops_quality_results")),
    "quality.gate_scores": (_layer(Layer.GOLD), _lake("ops_quality_results")),
    "warehouse.publish": (_place("warehouse", "build"), _marts()),
    "warehouse.export": (_marts(), _place("export", "marts")),
    "segments.stream": (
        _lake("silver_events", "silver_identifiers", "ops_blocked_identifiers", "ops_sync_outcomes") + SUBJECTS + _marts(),
        _lake("segment_changes", "trigger_decisions", "journey_states"),
    ),
    "models.train": (_marts() + _lake("identity_weights"), _place("models", "champion") + _lake("ops_model_metrics")),
    "models.score": (_marts() + _place("models", "champion"), SCORES),
    "sync.run_*": (
        _place("warehouse", "activation") + _lake("consents", "suppressions") + SUBJECTS,
        _place("destinations", "*") + _lake("ops_sync_outcomes"),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class StageRun:
    """One run of one stage; its events share the id."""

    context: Context
    stage: str
    run_id: str

    @classmethod
    def of(cls, context: Context, stage: str) -> "StageRun":
        """With an id of its own, also when a stage of a run is tried again."""
        return cls(context, stage, str(uuid.uuid4()))

    def event(self, kind: Literal["START", "COMPLETE", "FAIL"], at: datetime) -> dict[str, Any]:
        """The event; what is not known to read or write anything of the kind has no datasets."""
        read, written = datasets(self.stage)
        return {
            "eventType": kind,
            "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "producer": PRODUCER,
            "schemaURL": SPEC,
            "run": {"runId": self.run_id, "facets": {"parent": _parent(self.context.run_id)}},
            "job": {"namespace": JOBS, "name": self.stage},
            "inputs": [{"namespace": space, "name": name} for space, name in read],
            "outputs": [{"namespace": space, "name": name} for space, name in written],
        }

    def emit(self, kind: Literal["START", "COMPLETE", "FAIL"], at: datetime) -> None:
        """Appends it; one short write, so that stages that end together do not mix."""
        file = lineage_file(self.context.settings)
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(self.event(kind, at)) + "\n")


def datasets(stage: str) -> tuple[tuple[Dataset, ...], tuple[Dataset, ...]]:
    """(read, written); the `*` of a stage that is named by a source or a sync becomes that name."""
    if stage in STAGES:
        return STAGES[stage]
    for pattern, (read, written) in STAGES.items():
        prefix = pattern.removesuffix("*")
        if prefix != pattern and stage.startswith(prefix):
            own = stage.removeprefix(prefix)
            return _named(read, own), _named(written, own)
    return (), ()


def _named(side: tuple[Dataset, ...], own: str) -> tuple[Dataset, ...]:
    return tuple((space, own if name == "*" else name) for space, name in side)


def _parent(run_id: str) -> dict[str, Any]:
    """The DAG run (`build_profiles.manual__…`), or the command that a person typed (`manual-…`)."""
    return {
        "_producer": PRODUCER,
        "_schemaURL": PARENT_SPEC,
        "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"c360:{run_id}"))},
        "job": {"namespace": JOBS, "name": run_id.partition(".")[0] if "." in run_id else "command"},
    }
