"""What happened and what there is now: figures of the last run of each stage, read from the lake and the warehouse."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from jobs.core.definitions import load_segments
from jobs.core.settings import Settings
from jobs.sample.files import marker_file

TARGET = "recall_at_10_new_only"
Row = dict[str, Any]

PROFILES = """
select
    count(*) as profiles,
    count(*) filter (where order_count > 0 and not is_simulated) as buyers,
    count(*) filter (where is_simulated) as simulated_only,
    count(*) filter (where has_marketing_consent) as with_marketing_consent,
    count(*) filter (where is_suppressed) as suppressed
from marts.dim_profiles
"""
ORDERS = """
select count(*) as order_lines, count(distinct order_id) as orders, coalesce(sum(sales_value), 0)::varchar as sales_value
from marts.fct_order_lines where not is_simulated
"""
SEGMENTS = "select segment_name, count(*) as members from marts.fct_segment_memberships group by all order by all"
SERVED = """
select tier, count(distinct profile_id) as profiles from marts.fct_recommendations group by all order by all
"""
CLUSTERS = "select cluster_name, count(*) as profiles from marts.fct_profile_clusters group by all order by 2 desc, 1"
# The best customer with a personal list, if any list is personal; always the same one on the same data.
EXAMPLE = """
select p.profile_id, p.lifecycle_stage, p.rfm_segment, p.favourite_department, p.order_count,
    p.lifetime_value::varchar as lifetime_value, p.last_order_at::varchar as last_order_at
from marts.dim_profiles as p
where not p.is_simulated and p.order_count > 0
order by
    exists(select 1 from marts.fct_recommendations as r where r.profile_id = p.profile_id and r.tier = 'personal') desc,
    p.order_count desc, p.profile_id
limit 1
"""
BOUGHT = """
select d.product_type, count(*) as times, sum(l.sales_value)::varchar as sales_value
from marts.fct_order_lines as l join marts.dim_products as d using (product_id)
where l.profile_id = ? and d.product_type is not null
group by all order by times desc, product_type limit 5
"""
RECOMMENDED = """
select rank, item_id, tier from marts.fct_recommendations where profile_id = ? order by rank, model_name limit 5
"""
QUARANTINE = """
select source, reason_code, count(*) as messages
from (select source, unnest(reason_codes) as reason_code from quarantine_messages where replay_state = 'pending')
group by all order by all
"""


@dataclass
class Summary:
    """Everything that `c360 ops summary` shows; `--json` prints these fields. Lists are empty when there is nothing yet."""

    home: str
    warehouse_file: str
    has_sample: bool = False
    stages: list[Row] = field(default_factory=list)
    balance: list[Row] = field(default_factory=list)
    refused_files: list[Row] = field(default_factory=list)
    quarantine: list[Row] = field(default_factory=list)
    profiles: Row = field(default_factory=dict)
    orders: Row = field(default_factory=dict)
    segments: list[Row] = field(default_factory=list)
    clusters: list[Row] = field(default_factory=list)
    served: list[Row] = field(default_factory=list)
    metrics: list[Row] = field(default_factory=list)
    example: Row = field(default_factory=dict)


def collect(settings: Settings) -> Summary:
    """The figures as they are now; whatever has not run yet is empty."""
    from jobs.lake.oplog import in_commit_order

    summary = Summary(str(settings.home), str(settings.warehouse_file), has_sample=marker_file(settings).exists())
    summary.stages = last_of(in_commit_order(settings, "ops_runs"), stage_key)
    summary.balance = latest_balance(settings)
    summary.refused_files = refused_files(settings)
    summary.metrics = last_of(
        in_commit_order(settings, "ops_model_metrics"), lambda r: (r["model_name"], r["metric"], r["baseline"])
    )
    _from_lake(settings, summary)
    if settings.warehouse_file.exists():
        _from_warehouse(settings, summary)
    return summary


def dag_of(run_id: str) -> str:
    """The DAG that a run id names, `by hand` when a person typed the command."""
    dag, separator, _ = run_id.partition(".")
    return dag if separator else "by hand"


def stage_key(row: Row) -> tuple[str, str]:
    """Stages repeat over DAGs (two of them build the warehouse), so a stage is known by both."""
    return dag_of(str(row["run_id"])), str(row["stage"])


def last_of(rows: list[Row], key: Any) -> list[Row]:
    """The last row of each key, in the order in which those last rows were written."""
    kept: dict[object, Row] = {}
    for row in rows:
        kept.pop(key(row), None)
        kept[key(row)] = row
    return list(kept.values())


def latest_balance(settings: Settings) -> list[Row]:
    """The last recorded balance of each source, by source."""
    from jobs.lake.oplog import in_commit_order

    rows = last_of(in_commit_order(settings, "ops_balance"), lambda r: r["source"])
    return sorted(rows, key=lambda r: str(r["source"]))


def refused_files(settings: Settings) -> list[Row]:
    """Landing files that are refused or held as things stand, with the reason, oldest first."""
    from jobs.lake.oplog import in_commit_order

    last = last_of(in_commit_order(settings, "ops_landing_manifest"), lambda row: (row["source"], row["file_name"]))
    return [row for row in last if row["status"] in ("rejected", "held")]


def _from_lake(settings: Settings, summary: Summary) -> None:
    from jobs.lake.delta import ensure_table
    from jobs.lake.duck import lake_connection

    ensure_table(settings, "quarantine_messages")
    with closing(lake_connection(settings, ("quarantine_messages",))) as connection:
        summary.quarantine = _rows(connection, QUARANTINE)


def _from_warehouse(settings: Settings, summary: Summary) -> None:
    from jobs.warehouse.reader import open_published

    with closing(open_published(settings)) as connection:
        summary.profiles = _rows(connection, PROFILES)[0]
        summary.orders = _rows(connection, ORDERS)[0]
        summary.segments = _segments(settings, connection)
        summary.clusters = _rows(connection, CLUSTERS)
        summary.served = _rows(connection, SERVED)
        summary.example = _example(connection)


def _segments(settings: Settings, connection: Any) -> list[Row]:
    """Every defined segment, the empty ones too."""
    sizes = dict.fromkeys(load_segments(settings.project_root), 0)
    sizes |= {row["segment_name"]: row["members"] for row in _rows(connection, SEGMENTS)}
    return [{"segment_name": name, "members": members} for name, members in sorted(sizes.items())]


def _example(connection: Any) -> Row:
    found = _rows(connection, EXAMPLE)
    if not found:
        return {}
    bought = _rows(connection, BOUGHT, found[0]["profile_id"])
    recommended = _rows(connection, RECOMMENDED, found[0]["profile_id"])
    return found[0] | {"bought_most": bought, "recommended": recommended}


def _rows(connection: Any, sql: str, *values: object) -> list[Row]:
    cursor = connection.execute(sql, list(values))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
