"""Trains the ML models when it is due: no champion yet, one older than C360_RETRAIN_DAYS, or the parameter `force`.

Runs after each publishing of profiles; when nothing is due it trains nothing and registers nothing. A new version
becomes champion only if it is better than the baselines. The asset `models` is emitted either way, as the profiles to
be scored are new.
"""

from airflow.sdk import DAG, Param

from jobs.orchestration.assets import MODELS, PROFILES
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults

with DAG(
    dag_id="train_models",
    schedule=[PROFILES],
    doc_md=__doc__,
    params={"force": Param(False, type="boolean", description="Train even if the champions are recent")},
    **dag_defaults(Tag.LAYER_MODELS, Tag.TIER_STANDARD),
):
    C360Command(
        task_id="train_models",
        arguments=["models", "train", "{{ '--force' if params.force else '' }}"],
        outlets=[MODELS],
    )
