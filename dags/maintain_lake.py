"""The lake small and its raw payloads no longer kept than promised, daily at night, while the streams go on.

Small files are joined, then payloads past `retention_days` go, then files that nothing needs any more: what the first two
free is removed a week later by the third. A run does what is due, so it has no interval and running it again changes
nothing. `c360 run` leaves it out: it is a matter of days, not of a run. Each task is tried again when other writers were
always first.
"""

from airflow.sdk import DAG

from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults

with DAG(
    dag_id="maintain_lake",
    schedule="30 3 * * *",
    doc_md=__doc__,
    **dag_defaults(Tag.LAYER_LAKE, Tag.TIER_STANDARD),
):
    compact = C360Command(task_id="compact_tables", arguments=["maintain", "compact"])
    retain = C360Command(task_id="retire_payloads", arguments=["maintain", "retain"])
    vacuum = C360Command(task_id="vacuum_tables", arguments=["maintain", "vacuum"])

    compact >> retain >> vacuum
