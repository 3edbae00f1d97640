"""The extra checks: each query runs on good tables, and each one is broken once."""

import duckdb
import pytest
from framekit import good_table

from expectations import contracts
from expectations.contracts import TableContract
from expectations.extra import QueryCheck, extras
from expectations.gate import GateVerdict, judge
from expectations.suites import build_suite
from jobs.quality.frames import fetcher

LAKE = tuple(n for n in extras() if n in contracts.tables())
MARTS = tuple(n for n in extras() if n in contracts.marts())
EMAIL = "planted.marker@example.org"


def world(*names: str) -> duckdb.DuckDBPyConnection:
    """All tables of the lake or all marts, good, in one connection."""
    shape = contracts.tables() if names[0] in contracts.tables() else contracts.marts()
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute("create schema marts")
    for name in names:
        relation = name if name in contracts.tables() else f"marts.{name}"
        rows = good_table(shape[name], relation).execute(f"select * from {relation}").to_arrow_table()
        connection.register("handed", rows)
        connection.execute(f"create table {relation} as select * from handed")
        connection.unregister("handed")
    return connection


def lake() -> duckdb.DuckDBPyConnection:
    connection = world(
        "silver_events", "silver_identifiers", "silver_records", "gold_recommendations", "gold_profile_clusters"
    )
    connection.execute(
        "update silver_identifiers as i set identifier_type = 'user_id', source = e.source "
        "from silver_events as e where e.event_id = i.event_id"
    )
    connection.execute(
        "update gold_recommendations set model_name = 'als', profile_id = 'p', item_id = 'i' || \"rank\", fallback_reason = null"
    )
    connection.execute(
        "update gold_profile_clusters set model_name = 'k_means', cluster_id = rowid, cluster_name = 'c' || rowid"
    )
    return connection


def marts() -> duckdb.DuckDBPyConnection:
    connection = world(*contracts.marts())
    for table in (
        "fct_orders",
        "fct_events",
        "fct_segment_memberships",
        "fct_recommendations",
        "fct_profile_clusters",
        "fct_profile_scores",
    ):
        connection.execute(f"update marts.{table} set profile_id = 'profile_id_0'")
    connection.execute("update marts.fct_order_lines set product_id = 'product_id_0'")
    connection.execute("update marts.fct_orders set line_count = 1, refund_count = 1")
    connection.execute("update marts.fct_trait_changes set valid_to = null, profile_id = 'p' || rowid")
    connection.execute("update marts.fct_refunds set is_order_known = true")
    connection.execute("update marts.kpi_daily_sales set order_count = 1")
    for table in ("dim_profiles", "fct_orders", "kpi_daily", "kpi_daily_sales"):
        connection.execute(f"update marts.{table} set currency = 'USD'")
    connection.execute("update marts.dim_profiles set order_count = 1")
    connection.execute("update marts.kpi_daily set order_count = 1")
    connection.execute("update marts.fct_recommendations set is_fallback = true")
    return connection


def verdict_on(connection: duckdb.DuckDBPyConnection, name: str) -> GateVerdict:
    in_lake = name in contracts.tables()
    contract: TableContract = contracts.tables()[name] if in_lake else contracts.marts()[name]
    relation = name if in_lake else f"marts.{name}"
    return judge(build_suite(contract, extras()[name]), fetcher(connection, relation, contract))


def failed(verdict: GateVerdict) -> set[str]:
    return {r.name for r in verdict.results if not r.is_success}


def test_every_extra_file_names_a_gated_table() -> None:
    gated = {c.name for c in (*contracts.tables().values(), *contracts.marts().values()) if c.gated}
    assert set(extras()) <= gated
    for name, items in extras().items():
        names = [item.name for item in items if isinstance(item, QueryCheck)]
        assert len(names) == len(set(names)), name


@pytest.mark.parametrize("name", LAKE)
def test_good_lake_tables_pass_their_extra_checks(name: str) -> None:
    verdict = verdict_on(lake(), name)
    assert failed(verdict) == set(), (verdict.reasons, verdict.warnings)


@pytest.mark.parametrize("name", MARTS)
def test_good_marts_pass_their_extra_checks(name: str) -> None:
    verdict = verdict_on(marts(), name)
    assert failed(verdict) == set(), (verdict.reasons, verdict.warnings)


BREAKS = [
    ("silver_events", f"update silver_events set user_id = '{EMAIL}'", "no_raw_email(user_id)"),
    ("silver_events", f'update silver_events set properties = \'{{"q": "{EMAIL}"}}\'', "no_raw_email_in_json"),
    (
        "silver_events",
        "update silver_events set effective_at = received_at + interval 1 day",
        "effective_at_is_clamped",
    ),
    ("silver_events", "update silver_events set is_time_suspect = true", "time_suspect_share"),
    (
        "silver_events",
        "update silver_events set user_id = null, anonymous_id = null, loyalty_id = null, email_token = null, phone_token = null",
        "without_identifier_share",
    ),
    (
        "silver_identifiers",
        f"update silver_identifiers set identifier_value = '{EMAIL}' || rowid",
        "no_raw_email(identifier_value)",
    ),
    ("silver_identifiers", "update silver_identifiers set identifier_type = 'email'", "pii_kinds_are_tokens"),
    (
        "silver_identifiers",
        "update silver_identifiers set event_id = 'elsewhere' where rowid = 0",
        "identifiers_have_an_origin",
    ),
    ("silver_records", f"update silver_records set properties = '{EMAIL}'", "no_raw_email_in_json"),
    ("gold_recommendations", 'update gold_recommendations set "rank" = 9 where "rank" = 2', "ranks_have_no_holes"),
    ("gold_recommendations", "update gold_recommendations set item_id = 'same'", "no_item_twice"),
    ("gold_recommendations", "update gold_recommendations set is_fallback = true", "fallback_says_why"),
    (
        "gold_recommendations",
        "update gold_recommendations set model_version = 'v' || \"rank\"",
        "one_version_per_model",
    ),
    (
        "gold_profile_clusters",
        "update gold_profile_clusters set cluster_id = 0, cluster_name = 'one'",
        "more_than_one_cluster",
    ),
    ("gold_profile_clusters", "update gold_profile_clusters set cluster_id = rowid % 2", "one_name_per_cluster"),
    ("dim_profiles", f"update marts.dim_profiles set user_id = '{EMAIL}'", "no_raw_email(user_id)"),
    ("dim_profiles", "update marts.dim_profiles set order_count = 5", "orders_reconcile"),
    ("dim_profiles", "update marts.dim_profiles set lifetime_value = 5", "value_reconciles"),
    ("dim_profiles", "update marts.dim_profiles set favourite_department = null", "null_share(favourite_department)"),
    ("fct_orders", "update marts.fct_orders set profile_id = 'nobody'", "profiles_exist"),
    ("fct_orders", "update marts.fct_orders set profile_id = null", "null_share(profile_id)"),
    ("fct_order_lines", "update marts.fct_orders set line_count = 2", "lines_reconcile"),
    ("fct_order_lines", "update marts.fct_order_lines set sales_value = 1.01", "value_reconciles"),
    ("fct_order_lines", "update marts.fct_order_lines set product_id = 'nothing'", "products_exist"),
    ("fct_events", f"update marts.fct_events set event_key = '{EMAIL}' || rowid", "no_raw_email(event_key)"),
    ("fct_events", "update marts.fct_events set profile_id = 'nobody'", "profiles_exist"),
    ("fct_events", "update marts.fct_events set profile_id = null", "null_share(profile_id)"),
    ("kpi_daily", "update marts.kpi_daily set order_count = 7", "orders_reconcile"),
    ("kpi_daily", "update marts.kpi_daily set sales_value = 7", "value_reconciles"),
    ("kpi_daily_sales", "update marts.kpi_daily_sales set sales_value = 7", "value_reconciles"),
    ("fct_refunds", "update marts.fct_orders set refund_count = 2", "orders_say_the_same"),
    (
        "fct_sessions",
        "update marts.fct_sessions set ended_at = started_at - interval 1 second",
        "starts_before_it_ends",
    ),
    ("fct_trait_changes", "update marts.fct_trait_changes set valid_to = valid_from", "one_value_at_a_time"),
    ("fct_segment_memberships", "update marts.fct_segment_memberships set profile_id = 'x' || rowid", "profiles_exist"),
    ("fct_recommendations", "update marts.fct_recommendations set profile_id = 'x' || rowid", "profiles_exist"),
    ("fct_recommendations", "update marts.fct_recommendations set is_fallback = false", "personal_only_with_consent"),
    ("fct_profile_clusters", "update marts.fct_profile_clusters set profile_id = 'x' || rowid", "profiles_exist"),
    ("fct_profile_scores", "update marts.fct_profile_scores set profile_id = 'x' || rowid", "profiles_exist"),
]


@pytest.mark.parametrize(("name", "sql", "check"), BREAKS, ids=[f"{name}-{check}" for name, _, check in BREAKS])
def test_each_extra_check_is_broken_once(name: str, sql: str, check: str) -> None:
    connection = lake() if name in contracts.tables() else marts()
    connection.execute(sql)
    verdict = verdict_on(connection, name)
    assert failed(verdict) == {check}
    severity = next(r.severity for r in verdict.results if r.name == check)
    assert verdict.passed == (severity == "warning")
    assert EMAIL not in repr(verdict)


def test_no_extra_check_goes_unbroken() -> None:
    stated = {
        (name, c.name.partition("(")[0])
        for name in extras()
        for c in build_suite(_contract(name), extras()[name]).checks
    }
    plain = {(name, c.name.partition("(")[0]) for name in extras() for c in build_suite(_contract(name)).checks}
    assert {(name, check.partition("(")[0]) for name, _, check in BREAKS} == stated - plain


def _contract(name: str) -> TableContract:
    return contracts.tables().get(name) or contracts.marts()[name]
