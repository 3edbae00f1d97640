"""The warehouse as it was at the end of each day of a stretch, for training and for history, by hand only.

The parameters name the days, the run whose table versions are read, and how many days a run may take. A run builds the
missing days, earliest first, into files of their own; nothing is published. Clear it, or trigger it again with the same
parameters, until its log says that nothing is left: days that are there stay as they are.
"""

from airflow.sdk import DAG, Param

from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults, in_warehouse

with DAG(
    dag_id="backfill_days",
    schedule=None,
    doc_md=__doc__,
    params={
        "first": Param("2018-01-01", type="string", format="date", description="First day, UTC"),
        "last": Param("2018-01-01", type="string", format="date", description="Last day; it must have ended"),
        "pin": Param("", type="string", description="Run whose build's table versions are read: ops.ops_runs"),
        "most": Param(7, type="integer", minimum=1, maximum=31, description="Days to build in this run"),
    },
    **dag_defaults(Tag.LAYER_MARTS, Tag.TIER_STANDARD),
):
    C360Command(
        task_id="build_days",
        arguments=[
            "warehouse",
            "backfill",
            "--from={{ params.first }}",
            "--to={{ params.last }}",
            "--pin={{ params.pin }}",
            "--most={{ params.most }}",
        ],
        **in_warehouse(1),
    )
