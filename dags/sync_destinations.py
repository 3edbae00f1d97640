"""One DAG per file in jobs/sync/syncs: carries what a destination should hold and does not hold yet.

A run plans the difference against what the destination has acknowledged, checks the guard, delivers and records each
row; running it again sends nothing. The sync's own file says what sets it off: an asset or a cron expression (UTC).
"""

from airflow.sdk import DAG

from jobs.core.definitions import load_syncs
from jobs.core.settings import PROJECT_ROOT
from jobs.orchestration.assets import ASSETS
from jobs.orchestration.operator import C360Command
from jobs.orchestration.policy import Tag, dag_defaults

for sync in load_syncs(PROJECT_ROOT).values():
    with DAG(
        dag_id=sync.name,
        schedule=[ASSETS[sync.asset]] if sync.asset else sync.schedule,
        description=sync.description,
        doc_md=__doc__,
        **dag_defaults(Tag.LAYER_ACTIVATION, Tag.TIER_STANDARD),
    ):
        C360Command(task_id="run_sync", arguments=["sync", "run", sync.name])
