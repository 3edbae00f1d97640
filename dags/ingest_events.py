"""Landing files to silver, hourly: bronze keeps what came, the contracts split it into silver and quarantine.

A run loads everything that is new since the last one, so it has no interval and running it again changes nothing.
The asset `silver_events` is emitted after the gate has passed. A refused file does not stop the others: the task
succeeds with a warning, and `c360 ops landing` names the file.
"""

from airflow.sdk import DAG

from jobs.orchestration.assets import SILVER_EVENTS
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults

with DAG(
    dag_id="ingest_events",
    schedule="0 * * * *",
    doc_md=__doc__,
    **dag_defaults(Tag.LAYER_SILVER, Tag.TIER_CRITICAL),
):
    run_ingest = C360Command(task_id="run_ingest", arguments=["ingest", "run"])
    gate_silver = C360Command(task_id="gate_silver", arguments=["quality", "gate", "silver"], outlets=[SILVER_EVENTS])

    run_ingest >> gate_silver
