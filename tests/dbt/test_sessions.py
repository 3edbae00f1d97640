"""Sessions: where they begin and end, what led to them, what was bought in them (see tests/tinylake.py for the rows)."""

from datetime import datetime
from decimal import Decimal

from lakekit import profile
from tinylake import VISITS
from warehousekit import Warehouse


def test_each_visit_has_the_channel_that_led_to_it(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select anonymous_id, channel, landing_path from marts.fct_sessions where landing_path = '/deals'"
    )
    assert {(name, channel) for name, channel, _ in found} == {(f"v{n}", visit[3]) for n, visit in enumerate(VISITS)}
    bots = warehouse.rows("select anonymous_id from marts.fct_sessions where is_bot")
    assert bots == [(f"v{len(VISITS) - 1}",)]


def test_a_session_ends_after_the_gap_and_counts_what_was_bought(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select started_at, ended_at, event_count, page_views, landing_path, channel, sources, is_simulated, "
        "order_count, sales_value, currency, orders_in_other_currencies from marts.fct_sessions "
        "where anonymous_id = 'v0' order by started_at"
    )
    noon, paid, later = (datetime(2017, 12, 24, 12, minute) for minute in (0, 20, 51))
    none = Decimal("0.00")
    # The payment page in the middle of the visit is not where it came from; euros are no dollars.
    assert found == [
        (noon, paid, 2, 1, "/deals", "direct", "sim_web,web", False, 1, none, "USD", 1),
        (later, later, 1, 0, None, "direct", "sim_web", True, 0, none, "USD", 0),
    ]


def test_a_profile_is_one_visitor_over_its_browsers(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        f"select started_at, event_count, page_views, anonymous_id from marts.fct_sessions "
        f"where profile_id = '{profile(1)}' order by 1"
    )
    days = [datetime(2017, month, day, 12) for month, day in ((10, 1), (12, 20), (12, 21))]
    assert found == [(days[0], 1, 1, "a1"), (days[1], 4, 1, "a1"), (days[2], 1, 1, "a90")]


def test_every_event_of_a_browser_is_in_one_session(warehouse: Warehouse) -> None:
    known = warehouse.rows("select sum(event_count), count(*), count(distinct session_id) from marts.fct_sessions")
    assert known == [(34, 29, 29)]
