"""What is usual for a number, per source, event and property: computed once a day from silver, used by the stream.

Deterministic as far as this goes: all batches of a UTC day are judged by one set of statistics, which is written once and
not changed, so that a batch delivered again on the same day gets the same flags. On a later day the flags may differ;
which rows are accepted never depends on them.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from expectations import contracts
from expectations.contracts import EventContract
from expectations.contracts.fields import OutlierRule
from jobs.core.catalog import lake_table
from jobs.core.context import Context
from jobs.core.settings import Settings
from jobs.lake import delta
from jobs.lake.duck import lake_connection
from jobs.lake.schema import arrow_schema

log = logging.getLogger(__name__)
TABLE = "ops_outlier_statistics"
FACTOR = 0.6745  # the 0.75 quantile of the normal distribution: makes MAD comparable to a standard deviation
MIN_DEVIATING = 10

STATISTICS = f"""
with found as (
    select source, try_cast(json_extract_string(properties, $path) as double) as value
    from silver_events
    where name = $event and event_date >= $first and event_date < $as_of
),
usable as (select * from found where isfinite(value)),
middle as (select source, count(*) as value_count, median(value) as median from usable group by source),
deviations as (
    select usable.source, abs(usable.value - middle.median) as deviation from usable inner join middle using (source)
),
spreads as (
    select source, median(deviation) as mad,
        median(deviation) filter (where deviation > 0) as of_deviating,
        count(*) filter (where deviation > 0) as deviating
    from deviations group by source
)
select middle.source, middle.value_count, middle.median, spreads.mad,
    case when mad > 0 then mad when deviating >= {MIN_DEVIATING} then of_deviating end as spread
from middle inner join spreads using (source) order by source
"""


@dataclass(frozen=True)
class Declared:
    """One outlier rule of the contracts."""

    event: str
    field: str
    rule: OutlierRule


@dataclass(frozen=True)
class Bound:
    """Values of a property below `low` or above `high` are outliers."""

    source: str
    event: str
    field: str
    low: float
    high: float


def declared_rules(events: Iterable[EventContract]) -> list[Declared]:
    """All rules, by event and property."""
    found = [
        Declared(event.name, name, field.outlier)
        for event in events
        for name, field in event.properties.items()
        if field.outlier is not None
    ]
    return sorted(found, key=lambda rule: (rule.event, rule.field))


def refresh(context: Context) -> int:
    """Computes the statistics of the clock's day unless they are there; returns how many rows it wrote."""
    settings, day = context.settings, context.clock.now().date()
    if day in delta.read(settings, TABLE, ["as_of"])["as_of"].to_pylist():
        return 0
    if not delta.row_count(settings, "silver_events"):
        return 0
    rows: list[dict[str, object]] = []
    connection = lake_connection(settings, ("silver_events",))
    try:
        for declared in declared_rules(contracts.events().values()):
            asked = {
                "event": declared.event,
                "path": f'$."{declared.field}"',
                "first": day - timedelta(days=declared.rule.window_days),
                "as_of": day,
            }
            found = connection.execute(STATISTICS, asked).to_arrow_table().to_pylist()
            known = {"as_of": day, "event": declared.event, "field": declared.field, "computed_at": context.clock.now()}
            rows += [row | known | {"window_days": declared.rule.window_days} for row in found]
    finally:
        connection.close()
    if rows:
        table = pa.Table.from_pylist(rows, schema=arrow_schema(lake_table(TABLE).contract))
        delta.append(settings, TABLE, table, app_id=f"outliers:{day}")
        log.info("outliers: statistics of %d properties and sources", len(rows))
    return len(rows)


def read_bounds(settings: Settings, events: Iterable[EventContract]) -> list[Bound]:
    """What the newest statistics and today's contracts call an outlier; nothing where the values are too few or all alike."""
    rules = {(rule.event, rule.field): rule.rule for rule in declared_rules(events)}
    rows = delta.read(settings, TABLE).to_pylist() if rules else []
    newest = max((row["as_of"] for row in rows), default=date.min)
    found = []
    for row in sorted(rows, key=lambda row: (row["event"], row["field"], row["source"])):
        rule = rules.get((row["event"], row["field"]))
        if rule is None or row["as_of"] != newest or row["value_count"] < rule.min_count or row["spread"] is None:
            continue
        reach = rule.threshold * row["spread"] / FACTOR
        low, high = row["median"] - reach, row["median"] + reach
        found.append(Bound(row["source"], row["event"], row["field"], low, high))
    return found
