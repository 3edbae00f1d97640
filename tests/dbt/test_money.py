"""Refunds, and amounts that keep their currency (see tests/tinylake.py for the rows)."""

from datetime import date
from decimal import Decimal

from lakekit import profile
from warehousekit import Warehouse

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
