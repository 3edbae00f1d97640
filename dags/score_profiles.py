"""Scores all profiles with the champions and carries the scores into the warehouse.

A run replaces the scores of each ML model whole, so running it again gives the same tables. Only what depends on the
scores is built again, starting from a copy of the published warehouse. The asset `recommendations` is emitted by the
publishing, after the scores and the marts have passed their gates.
"""

from airflow.sdk import DAG, chain

from jobs.orchestration.assets import MODELS, RECOMMENDATIONS
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults, in_warehouse

# The dbt sources that scoring writes, and everything downstream of them.
GOLD_DEPENDENTS = "source:lake.gold_recommendations+ source:lake.gold_profile_clusters+"

with DAG(
    dag_id="score_profiles",
    schedule=[MODELS],
    doc_md=__doc__,
    **dag_defaults(Tag.LAYER_MODELS, Tag.TIER_STANDARD),
):
    score_profiles = C360Command(task_id="score_profiles", arguments=["models", "score"])
    gate_scores = C360Command(task_id="gate_scores", arguments=["quality", "gate", "scores"])
    build_warehouse = C360Command(
        task_id="build_warehouse", arguments=["warehouse", "build", "--select", GOLD_DEPENDENTS], **in_warehouse(1)
    )
    gate_marts = C360Command(task_id="gate_marts", arguments=["quality", "gate", "marts"], **in_warehouse(2))
    publish_warehouse = C360Command(
        task_id="publish_warehouse",
        arguments=["warehouse", "publish"],
        outlets=[RECOMMENDATIONS],
        **in_warehouse(3),
    )

    chain(score_profiles, gate_scores, build_warehouse, gate_marts, publish_warehouse)
