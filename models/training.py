"""`c360 models train`: decides whether to train, trains, records, registers what earned it, and promotes in a step of its own."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.schema import arrow_schema
from models import profile_clusters
from models.als_recommender import AlsRecommender
from models.base import Metric
from models.dataset import Connection, code_version, fingerprint, purchases_parts, read_purchases, read_traits
from models.profile_clusters import ProfileClusters, trait_matrix
from models.recommender_training import Trained, search_space, train_recommender
from models.tracking import Candidate, Registered, Registry

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = logging.getLogger(__name__)
METRICS = "ops_model_metrics"
UNREGISTERED = "unregistered"


class Action(StrEnum):
    """How a training ended."""

    REGISTERED = "registered"  # a new version, promoted to champion
    YOUNG = "kept_young"  # the champion is younger than C360_RETRAIN_DAYS
    UNCHANGED = "kept_unchanged"  # a version of exactly this data, code and settings exists
    NOT_BETTER = "kept_not_better"  # trained and recorded, but it did not beat the baseline


@dataclass(frozen=True)
class Outcome:
    """What happened to one ML model, and the version that is served now."""

    model_name: str
    action: Action
    version: str
    message: str


@dataclass(frozen=True)
class Task:
    """One ML model to train: its data as fingerprint parts, and how."""

    model_name: str
    rows: int
    fingerprint: str
    train: Callable[[], Trained]


def train_all(context: Context, connection: Connection, registry: Registry, *, force: bool) -> list[Outcome]:
    """Trains every model that needs it; at most one Spark session, stopped before the figures are recorded."""
    makers = {AlsRecommender.name: recommender_task, ProfileClusters.name: clusters_task}
    return [_train_one(context, connection, registry, name, maker, force=force) for name, maker in makers.items()]


def recommender_task(context: Context, connection: Connection) -> Task:
    """The product-type recommender over consenting profiles' purchases up to the clock's now."""
    as_of, seed = context.clock.now(), context.settings.seed
    purchases = read_purchases(connection, as_of)
    digest = fingerprint([*purchases_parts(purchases), *search_space(seed), code_version()])

    def open_session(stack: ExitStack) -> "SparkSession":
        from jobs.lake.session import open_session as start

        session = start(context.settings, "c360-models")
        stack.callback(session.stop)
        return session

    return Task(
        AlsRecommender.name, len(purchases), digest, lambda: train_recommender(purchases, as_of, seed, open_session)
    )


def clusters_task(context: Context, connection: Connection) -> Task:
    """The clusters over consenting profiles with an order up to the clock's now."""
    table = read_traits(connection, context.clock.now())
    seed = context.settings.seed
    return Task(
        ProfileClusters.name,
        table.num_rows,
        fingerprint([table, seed, code_version()]),
        lambda: _train_clusters(table, seed),
    )


def _train_clusters(table: pa.Table, seed: int) -> Trained:
    traits = trait_matrix(table)
    fitted = ProfileClusters(seed).fit(traits)
    scaled, (labels, _) = fitted.scaler.scale(traits), fitted.assign(traits)
    ours = profile_clusters.silhouette(scaled, labels, seed)
    by_value = profile_clusters.silhouette(scaled, profile_clusters.value_groups(traits, len(fitted.names)), seed)
    metrics = [
        Metric("silhouette_euclid", "model", ours),
        Metric("silhouette_euclid", "lifetime_value_quantiles", by_value),
        Metric("cluster_count", "model", float(len(fitted.names))),
    ]
    is_better = ours > by_value
    verdict = (
        f"{len(fitted.names)} clusters; Euclid silhouette {ours:.3f}, equal groups by lifetime value {by_value:.3f}"
    )
    facts: dict[str, object] = {"k": len(fitted.names), "seed": seed, "traits": ",".join(profile_clusters.TRAITS)}
    return Trained({"model.json": fitted.to_dict()}, facts, metrics, is_better, verdict)


def _train_one(
    context: Context,
    connection: Connection,
    registry: Registry,
    name: str,
    maker: Callable[[Context, Connection], Task],
    *,
    force: bool,
) -> Outcome:
    champion = registry.champion(name)
    if champion and not force and _is_young(champion, context):
        days = context.settings.retrain_days
        return Outcome(
            name, Action.YOUNG, champion.version, f"champion is younger than {days} days; --force trains anyway"
        )
    task = maker(context, connection)
    same = registry.with_fingerprint(name, task.fingerprint)
    if same and not same.was_promoted:  # a run that stopped between registering and promoting left it so
        return _serve(context, registry, same, registry.metrics(same))
    if same:
        served = champion.version if champion else same.version
        return Outcome(
            name, Action.UNCHANGED, served, f"version {same.version} was trained on exactly this data and code"
        )
    if champion and registry.was_rejected(name, task.fingerprint):
        message = "exactly this data and code was tried before and did not beat the baseline"
        return Outcome(name, Action.UNCHANGED, champion.version, message)
    log.info("%s: training on %d rows", name, task.rows)
    return _record(context, registry, champion, task, task.train())


def _is_young(champion: Registered, context: Context) -> bool:
    return context.clock.now() - champion.trained_at < timedelta(days=context.settings.retrain_days)


def _record(context: Context, registry: Registry, champion: Registered | None, task: Task, trained: Trained) -> Outcome:
    candidate = Candidate(
        model_name=task.model_name,
        fingerprint=task.fingerprint,
        trained_at=context.clock.now(),
        params=trained.params,
        metrics=trained.metrics,
        files=trained.files,
        tags=_provenance(context) | {"rows": str(task.rows), "verdict": trained.verdict},
    )
    recorded = registry.record(candidate)
    if trained.is_better or champion is None:
        return _serve(context, registry, registry.register(candidate, recorded), trained.metrics)
    _append_metrics(context, task.model_name, UNREGISTERED, recorded.mlflow_run_id, trained.metrics)
    registry.reject(recorded)
    return Outcome(task.model_name, Action.NOT_BETTER, champion.version, trained.verdict)


def _serve(context: Context, registry: Registry, version: Registered, metrics: list[Metric]) -> Outcome:
    """Records the figures of a registered version and makes it the champion; safe to repeat after a crash."""
    name = version.model_name
    _append_metrics(context, name, version.version, version.mlflow_run_id, metrics)
    registry.promote(name, version.version)
    return Outcome(name, Action.REGISTERED, version.version, version.tags.get("verdict", ""))


def _append_metrics(context: Context, name: str, version: str, mlflow_run_id: str, metrics: list[Metric]) -> None:
    rows = [
        {
            "run_id": context.run_id,
            "model_name": name,
            "model_version": version,
            "metric": metric.name,
            "baseline": metric.baseline,
            "value": metric.value,
            "is_champion": version != UNREGISTERED,
            "recorded_at": context.clock.now(),
        }
        for metric in metrics
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(METRICS).contract))
    # One training is recorded once, however often its last steps are repeated.
    delta.append(context.settings, METRICS, table, app_id=f"models.train:{mlflow_run_id}", app_version=1)


def _provenance(context: Context) -> dict[str, str]:
    """Where a run came from: our run, the code, the commit, and the version of the lake behind the marts."""
    settings = context.settings
    found = {"c360_run_id": context.run_id, "code_version": code_version()}
    commit = _commit(settings)
    if commit:
        found["git_commit"] = commit
    if (lake_table("silver_events").path(settings) / "_delta_log").exists():
        found["silver_events_version"] = str(delta.version(settings, "silver_events"))
    return found


def _commit(settings: Settings) -> str | None:
    """The checked-out commit, read from .git; None for an installation without one."""
    git = settings.project_root / ".git"
    if not (git / "HEAD").is_file():
        return None
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head
    ref = git / head.removeprefix("ref: ")
    return ref.read_text(encoding="utf-8").strip() if ref.is_file() else None
