"""One DAG per file in jobs/ingest/pulls that has a schedule: fetches into landing/ what others keep (S3, REST).

A run fetches what is new since the last one, so it has no interval, and running it again repeats nothing that matters.
It only lands files and emits no asset: ingest_events loads them on its own schedule. An object that could not be taken
is a warning; `c360 ingest pull list` says what has been fetched.
"""

from airflow.sdk import DAG

from jobs.core.definitions import load_pulls
from jobs.core.settings import PROJECT_ROOT
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults

for pull in load_pulls(PROJECT_ROOT).values():
    if pull.schedule is None:
        continue
    with DAG(
        dag_id=f"pull_{pull.name}",
        schedule=pull.schedule,
        description=pull.description,
        doc_md=__doc__,
        **dag_defaults(Tag.LAYER_LANDING, Tag.TIER_STANDARD),
    ):
        C360Command(task_id="pull_source", arguments=["ingest", "pull", pull.kind, pull.name])
