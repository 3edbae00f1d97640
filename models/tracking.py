"""The registry: the only module that imports MLflow. SQLite and plain files under `C360_HOME/mlflow`, no server, no pickle.

A registered version carries the sha256 of each of its files as a tag; loading checks them. The alias `champion` says which
version is served; moving it is a step of its own, and moving it back undoes it.
"""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param, RunTag
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from jobs.core.errors import UsageError
from jobs.core.settings import Settings
from models.artifacts import ArtifactError, Content, read_files, write_files
from models.base import Metric

log = logging.getLogger(__name__)
CHAMPION = "champion"
FOLDER = "model"
SHA_TAG = "sha256."
FINGERPRINT_TAG = "data_fingerprint"
TRAINED_TAG = "trained_at"
FOLDER_TAG = "folder"
PROMOTED_TAG = "was_promoted"  # tells a version that was rolled back from one that a crash kept from being promoted
REJECTED_TAG = "rejected"
PARAM_CHARACTERS = 500


@dataclass(frozen=True)
class Candidate:
    """What one training hands to the registry. `tags` say what it was made from: data, code, commit, run."""

    model_name: str
    fingerprint: str
    trained_at: datetime
    params: Mapping[str, object]
    metrics: list[Metric]
    files: Mapping[str, Content]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Registered:
    """One registered version of one ML model."""

    model_name: str
    version: str
    fingerprint: str
    trained_at: datetime
    mlflow_run_id: str
    source: str
    is_champion: bool
    was_promoted: bool
    sha256: Mapping[str, str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Recorded:
    """One logged MLflow run and the sha256 of each of its files."""

    mlflow_run_id: str
    sha256: Mapping[str, str]


class Registry:
    """Runs and versions of this C360_HOME. The first use of a new home creates the database, which takes seconds."""

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home / "mlflow"
        self.artifacts = self.home / "artifacts"
        self.artifacts.mkdir(parents=True, exist_ok=True)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        uri = f"sqlite:///{self.home / 'mlflow.db'}"
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def names(self) -> list[str]:
        """The registered ML models, by name."""
        return sorted(model.name for model in self.client.search_registered_models(max_results=1000))

    def versions(self, model_name: str) -> list[Registered]:
        """All versions of a model, newest first; empty when the model is unknown."""
        found = self.client.search_model_versions(f"name = '{model_name}'", max_results=1000)
        champion = self._champion_number(model_name)
        return sorted((_registered(v, champion) for v in found), key=lambda r: -int(r.version))

    def champion(self, model_name: str) -> Registered | None:
        """The version that is served, or None before the first promotion."""
        return next((v for v in self.versions(model_name) if v.is_champion), None)

    def with_fingerprint(self, model_name: str, fingerprint: str) -> Registered | None:
        """The newest version trained on exactly this data, by this code, with these settings."""
        return next((v for v in self.versions(model_name) if v.fingerprint == fingerprint), None)

    def record(self, candidate: Candidate) -> Recorded:
        """Logs one MLflow run with parameters, metrics (baselines as `<metric>.<baseline>`) and files."""
        moment = int(candidate.trained_at.timestamp() * 1000)
        run = self.client.create_run(
            self._experiment(candidate.model_name), start_time=moment, run_name=candidate.model_name
        )
        run_id = str(run.info.run_id)
        tags = {FINGERPRINT_TAG: candidate.fingerprint, **candidate.tags}
        self.client.log_batch(
            run_id,
            metrics=[MlflowMetric(_metric_key(m), m.value, moment, 0) for m in candidate.metrics],
            params=[Param(key, str(value)[:PARAM_CHARACTERS]) for key, value in candidate.params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        with tempfile.TemporaryDirectory(dir=self.home) as folder:
            sums = write_files(Path(folder), candidate.files)
            self.client.log_artifacts(run_id, folder, FOLDER)
        self.client.set_terminated(run_id, end_time=moment)
        return Recorded(run_id, sums)

    def register(self, candidate: Candidate, recorded: Recorded) -> Registered:
        """Makes a version of a recorded run. It is not served until `promote`."""
        try:
            self.client.create_registered_model(candidate.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        folder = self._experiment_folder(candidate.model_name) / recorded.mlflow_run_id / "artifacts" / FOLDER
        read_files(folder, recorded.sha256)  # what was stored is what was trained, or there is no version
        tags = {
            FINGERPRINT_TAG: candidate.fingerprint,
            TRAINED_TAG: candidate.trained_at.isoformat(),
            FOLDER_TAG: str(folder.relative_to(self.artifacts)),
            **candidate.tags,
            **{SHA_TAG + name: digest for name, digest in recorded.sha256.items()},
        }
        made = self.client.create_model_version(
            candidate.model_name, source=folder.as_uri(), run_id=recorded.mlflow_run_id, tags=tags
        )
        return _registered(self.client.get_model_version(candidate.model_name, made.version), None)

    def promote(self, model_name: str, version: str) -> None:
        """Serves this version from the next scoring on; raises UsageError when there is no such version."""
        known = [v.version for v in self.versions(model_name)]
        if version not in known:
            raise UsageError(f"no version {version} of {model_name!r}; known: {', '.join(known) or 'none'}")
        self.client.set_registered_model_alias(model_name, CHAMPION, version)
        self.client.set_model_version_tag(model_name, version, PROMOTED_TAG, "true")

    def load(self, registered: Registered) -> dict[str, Content]:
        """The files of a version, checked; raises ArtifactError when they are changed or not data."""
        folder = self.artifacts / registered.source
        if not folder.resolve().is_relative_to(self.artifacts.resolve()):
            raise ArtifactError(f"refused: the files of {registered.model_name} lie outside C360_HOME/mlflow/artifacts")
        return read_files(folder, registered.sha256)

    def reject(self, recorded: Recorded) -> None:
        """Notes that a run did not earn a version, so that it is not repeated on the same data."""
        self.client.set_tag(recorded.mlflow_run_id, REJECTED_TAG, "true")

    def was_rejected(self, model_name: str, fingerprint: str) -> bool:
        """Whether a run on exactly this data, code and settings did not earn a version."""
        wanted = f"tags.{FINGERPRINT_TAG} = '{fingerprint}' and tags.{REJECTED_TAG} = 'true'"
        return bool(self.client.search_runs([self._experiment(model_name)], wanted, max_results=1))

    def metrics(self, registered: Registered) -> list[Metric]:
        """The figures of a version, as they were recorded."""
        split = ((key.partition("."), value) for key, value in self.run_facts(registered)[1].items())
        return [Metric(name, baseline or "model", value) for (name, _, baseline), value in split]

    def run_facts(self, registered: Registered) -> tuple[dict[str, str], dict[str, float]]:
        """(parameters, metrics) of the run behind a version."""
        data = self.client.get_run(registered.mlflow_run_id).data
        return dict(data.params), dict(data.metrics)

    def _experiment_folder(self, model_name: str) -> Path:
        return self.artifacts / model_name

    def _experiment(self, model_name: str) -> str:
        found = self.client.get_experiment_by_name(model_name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(model_name, self._experiment_folder(model_name).as_uri()))

    def _champion_number(self, model_name: str) -> str | None:
        try:
            return str(self.client.get_model_version_by_alias(model_name, CHAMPION).version)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise


def _metric_key(metric: Metric) -> str:
    return metric.name if metric.baseline == "model" else f"{metric.name}.{metric.baseline}"


def _registered(version: ModelVersion, champion: str | None) -> Registered:
    tags: dict[str, Any] = dict(version.tags)
    return Registered(
        model_name=str(version.name),
        version=str(version.version),
        fingerprint=tags.get(FINGERPRINT_TAG, ""),
        trained_at=datetime.fromisoformat(tags[TRAINED_TAG]),
        mlflow_run_id=str(version.run_id),
        source=tags[FOLDER_TAG],
        is_champion=str(version.version) == champion,
        was_promoted=PROMOTED_TAG in tags,
        sha256={key.removeprefix(SHA_TAG): value for key, value in tags.items() if key.startswith(SHA_TAG)},
        tags={key: value for key, value in tags.items() if not key.startswith(SHA_TAG)},
    )
