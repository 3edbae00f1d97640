"""Silver to profiles and segments, whenever silver has changed: identity, dbt, gate, publish.

dbt builds into a private file: what has changed since the published build, or everything where that cannot be (the run's
record says why) or with the parameter `whole`. Both give the same tables, so running it again gives the same profiles. Only
what the gate has passed is published, atomically. A failed gate leaves the published warehouse as it was. The assets
`profiles` and `segments` are emitted by the publishing. An identity run that would merge or split
over 1 % of the profiles stops the DAG: look at the task's log, then trigger it with the parameter `approve`.
"""

from airflow.sdk import DAG, Param, chain

from jobs.orchestration.assets import PROFILES, SEGMENTS, SILVER_EVENTS
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults, in_warehouse

with DAG(
    dag_id="build_profiles",
    schedule=[SILVER_EVENTS],
    doc_md=__doc__,
    params={
        "approve": Param(
            0, type="integer", minimum=0, description="Merges and splits to let through, by the number named"
        ),
        "whole": Param(False, type="boolean", description="Build everything anew, not only what has changed"),
    },
    **dag_defaults(Tag.LAYER_MARTS, Tag.TIER_CRITICAL),
):
    run_identity = C360Command(
        task_id="run_identity",
        arguments=["identity", "run", "{{ '--approve=' ~ params.approve if params.approve else '' }}"],
    )
    build_warehouse = C360Command(
        task_id="build_warehouse",
        arguments=["warehouse", "build", "{{ '' if params.whole else '--incremental' }}"],
        **in_warehouse(1),
    )
    gate_marts = C360Command(task_id="gate_marts", arguments=["quality", "gate", "marts"], **in_warehouse(2))
    publish_warehouse = C360Command(
        task_id="publish_warehouse",
        arguments=["warehouse", "publish"],
        outlets=[PROFILES, SEGMENTS],
        **in_warehouse(3),
    )

    chain(run_identity, build_warehouse, gate_marts, publish_warehouse)
