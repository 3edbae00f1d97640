"""Refunds, and amounts that keep their currency (see tests/tinylake.py for the rows)."""

import json
from datetime import date
from decimal import Decimal

import duckdb
from lakekit import Lake, profile, write_lake
from warehousekit import Warehouse, built

from jobs.core.settings import Settings
from jobs.lake import delta

ONE, TWO, THREE = (profile(n) for n in range(1, 4))


def test_a_refund_has_its_value_and_whose_it_is(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select order_id, refund_id, profile_id, refund_date, refund_value, currency, is_value_stated, is_order_known "
        "from marts.fct_refunds order by order_id"
    )
    assert found == [
        ("B0", None, THREE, date(2017, 2, 5), Decimal("7.00"), "CHF", True, False),  # of an order that we never saw
        ("B1", None, ONE, date(2017, 3, 2), None, "USD", False, True),  # a part, and nobody said how much
        ("B2", "R1", ONE, date(2017, 12, 2), Decimal("2.50"), "USD", True, True),  # sent twice, the first counts
        (
            "B7",
            None,
            TWO,
            date(2017, 2, 5),
            Decimal("30.00"),
            "EUR",
            False,
            True,
        ),  # whole order, whose it is says the order
    ]


def test_orders_say_what_was_given_back(warehouse: Warehouse) -> None:
    found = warehouse.rows("select order_id, refund_count, refunded_value from marts.fct_orders order by 1")
    assert [row for row in found if row[1]] == [
        ("B1", 1, Decimal("0.00")),
        ("B2", 1, Decimal("2.50")),
        ("B7", 1, Decimal("30.00")),
    ]


def test_sums_are_in_one_currency_and_say_what_they_leave_out(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select lifetime_value, refund_count, refunded_value, currency, orders_in_other_currencies from marts.dim_profiles "
        f"where profile_id in ('{ONE}', '{TWO}') order by profile_id"
    )
    assert found == [(Decimal("42.00"), 2, Decimal("2.50"), "USD", 0), (Decimal("4.10"), 1, Decimal("0.00"), "USD", 1)]
    day = warehouse.rows(
        "select order_count, sales_value, average_order_value, currency, orders_in_other_currencies "
        "from marts.kpi_daily where kpi_date = date '2017-02-02'"
    )
    assert day == [(1, Decimal("0.00"), None, "USD", 1)]


def test_daily_sales_keep_each_currency_and_take_refunds_off_on_their_day(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select kpi_date, currency, order_count, sales_value, refund_count, refunded_value, net_sales_value "
        "from marts.kpi_daily_sales where kpi_date between '2017-02-01' and '2017-02-28' order by 1, 2"
    )
    none, thirty = Decimal("0.00"), Decimal("30.00")
    assert found == [
        (date(2017, 2, 1), "USD", 1, Decimal("4.10"), 0, none, Decimal("4.10")),
        (date(2017, 2, 2), "EUR", 1, thirty, 0, none, thirty),
        (date(2017, 2, 5), "CHF", 0, none, 1, Decimal("7.00"), Decimal("-7.00")),
        (date(2017, 2, 5), "EUR", 0, none, 1, thirty, -thirty),
    ]


def test_every_amount_has_its_currency_beside_it(warehouse: Warehouse) -> None:
    silent = warehouse.rows(
        "select table_schema, table_name from information_schema.columns where table_schema in ('marts', 'activation') "
        "group by all having bool_or(data_type like 'DECIMAL%') and not bool_or(column_name = 'currency')"
    )
    assert silent == []


ORDERS = """
create schema staging; create schema intermediate;
create table staging.stg_pos__orders as
select * from (values
    ('1000', 'pos', 'U1', null, timestamp '2017-03-01 12:00'), ('1000', 'web', 'U1', null, timestamp '2017-03-01 12:05'),
    ('1001', 'pos', 'U1', null, timestamp '2017-03-01 12:00'), ('1001', 'web', 'U2', null, timestamp '2017-03-01 12:00'),
    ('1002', 'pos', null, '7', timestamp '2017-03-01 12:00'), ('1002', 'web', 'U3', null, timestamp '2017-03-02 12:00'),
    ('1003', 'pos', null, '7', timestamp '2017-03-01 12:00'), ('1003', 'pos', null, '8', timestamp '2017-03-01 13:00')
) as messages (order_id, source, user_id, loyalty_id, ordered_at);
create table intermediate.int_orders__accepted as select distinct order_id from staging.stg_pos__orders
"""


def test_two_orders_under_one_id_are_told_and_stop_nothing(warehouse: Warehouse) -> None:
    """A till and a web shop that number alike: one order of each pair is dropped."""
    [test] = [n for n in warehouse.manifest["nodes"].values() if n["name"].startswith("of_one_order")]
    assert test["config"]["severity"] == "warn"
    with duckdb.connect() as connection:
        connection.execute(f"attach ':memory:' as {test['database']}; use {test['database']}; {ORDERS}")
        found = connection.execute(test["compiled_code"]).fetchall()
    assert sorted(found) == [("1001",), ("1002",), ("1003",)]


def test_what_a_test_warns_of_is_kept_with_the_run(spare: Settings) -> None:
    write_lake(
        spare, Lake().order("1", "B1", "2017-03-09", [{"product_id": "P1", "sales_value": "1.00"}], event_id="again")
    )
    built(spare, select="stg_pos__orders int_changes__orders int_orders__accepted")
    kept = [json.loads(text) for text in delta.read(spare, "ops_runs")["details"].to_pylist()]
    [[warning]] = [details["dbt_warnings"] for details in kept if "dbt_warnings" in details]
    assert warning.startswith("of_one_order")
    assert warning.endswith(": 1 rows")
