"""The marts of the tiny lake against figures worked out by hand (see tests/tinylake.py for the rows)."""

from datetime import date, datetime
from decimal import Decimal

from lakekit import profile
from warehousekit import Warehouse

from jobs.core.profile_ids import founded_profile_id

ONE, TWO, THREE, FOUR, FIVE = (profile(n) for n in range(1, 6))
UNSEEN = founded_profile_id("anonymous_id", "ä7 'ß' ☕")  # provisional: the identity run does not know this browser
MAIN = f"profile_id in {(ONE, TWO, THREE, FOUR, FIVE, UNSEEN)}"  # and not the browsers of a visit each
NOON = 12


def test_profiles_carry_orders_value_and_stage(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select profile_id, is_simulated, order_count, lifetime_value, average_order_value, days_since_last_order, "
        f"lifecycle_stage, favourite_department from marts.dim_profiles where {MAIN} order by profile_id"
    )
    assert found == [
        (ONE, False, 3, Decimal("42.00"), Decimal("14.00"), 2, "active", "MEAT"),
        (TWO, False, 2, Decimal("4.10"), Decimal("4.10"), 333, "lapsed", "PRODUCE"),  # the order in euros is none of it
        (THREE, False, 1, Decimal("0.30"), Decimal("0.30"), 12, "new", "PRODUCE"),
        (FOUR, False, 0, Decimal("0.00"), None, None, "prospect", None),
        (FIVE, True, 0, Decimal("0.00"), None, None, "prospect", None),
        (UNSEEN, True, 0, Decimal("0.00"), None, None, "prospect", None),
    ]


def test_profiles_carry_consent_and_fail_closed(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select profile_id, has_marketing_consent, has_profiling_consent, has_sharing_consent, is_suppressed "
        f"from marts.dim_profiles where {MAIN} order by profile_id"
    )
    assert found == [
        (ONE, True, True, True, False),  # the denial of February 2018 is not known at as_of
        (TWO, False, True, True, False),  # granted, withdrawn later
        (THREE, False, False, False, False),  # never said anything
        (FOUR, False, True, True, False),  # one of two identifiers denies
        (FIVE, True, True, True, True),
        (UNSEEN, False, False, False, False),
    ]


def test_profiles_carry_engagement_identity_and_demographics(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select emails_delivered_90d, emails_opened_90d, emails_clicked_90d, email_open_rate_90d, email_engagement, "
        "page_views_30d, product_views_30d, cart_adds_30d, coupons_redeemed, campaigns_received, "
        f"loyalty_id, user_id, age_band, sources from marts.dim_profiles where profile_id = '{ONE}'"
    )
    # Pages: a1 on 20 December and a90 (of the merged profile) on the 21st; that of October is too long ago.
    sources = "campaign_sends,coupon_redemptions,crm_households,pos,sim_crm_people,sim_email,sim_web"
    assert found == [(1, 1, 1, 1.0, "high", 2, 1, 1, 1, 1, "1", "U1", "35-44", sources)]


def test_nothing_received_after_the_clock_counts(warehouse: Warehouse) -> None:
    assert warehouse.rows("select count(*) from marts.fct_orders where order_id = 'B6'") == [(0,)]
    assert warehouse.rows("select max(received_at) <= max(as_of) from marts.fct_events, marts.dim_profiles") == [
        (True,)
    ]


def test_orders_and_lines_are_exact(warehouse: Warehouse) -> None:
    orders = warehouse.rows(
        "select order_id, line_count, item_quantity, sales_value, retail_discount, coupon_discount from marts.fct_orders "
        "order by order_id"
    )
    money = {row[0]: tuple(map(str, row[3:])) for row in orders}
    assert [row[:3] for row in orders[:3]] == [("B1", 2, 3), ("B2", 2, 2), ("B3", 2, 3)]
    assert [row[:3] for row in orders[3:]] == [("B4", 1, 1), ("B5", 3, 2), ("B7", 1, 1), ("W1", 1, 1)]
    assert money["B1"] == ("8.50", "0.00", "0.50")
    assert money["B2"] == ("12.50", "1.25", "0.00")
    assert money["B5"] == ("0.30", "0.00", "0.00")  # 0.10 + 0.20, and the second delivery of 99.99 does not count
    lines = warehouse.rows(
        "select order_line_id, product_id, sales_value from marts.fct_order_lines where order_id = 'B5'"
    )
    assert sorted(lines) == [
        ("B5-1", "P2", Decimal("0.10")),
        ("B5-2", "P2", Decimal("0.20")),
        ("B5-3", "P4", Decimal("0.00")),
    ]


def test_products_sold_but_not_listed_are_kept(warehouse: Warehouse) -> None:
    found = warehouse.rows("select product_id, brand, is_in_catalog from marts.dim_products order by product_id")
    assert found == [(f"P{n}", "National", True) for n in range(1, 7)] + [("P9", None, False)]


def test_what_the_last_identity_run_has_not_seen_has_a_provisional_profile(warehouse: Warehouse) -> None:
    found = dict(warehouse.rows("select profile_id, count(*) from marts.fct_events group by 1"))
    assert found[UNSEEN] == 1
    assert found[None] == 2  # two refunds that name nobody
    assert sum(found.values()) == 56  # 59 in silver, three of them received after the clock


def test_messages_and_touches(warehouse: Warehouse) -> None:
    mails = warehouse.rows(
        "select email_id, profile_id, campaign_id, first_opened_at, open_count, click_count from marts.fct_messages order by 1"
    )
    assert mails == [
        ("M1", ONE, "13", datetime(2017, 11, 12, NOON), 2, 1),
        ("M2", ONE, "8", datetime(2017, 3, 3, NOON), 1, 0),
        ("M3", FOUR, "13", None, 0, 0),
    ]
    touches = warehouse.rows(
        "select profile_id, touch_type, campaign_id, campaign_type, coupon_upc from marts.fct_campaign_touches "
        "order by touched_at, 1"
    )
    assert touches == [
        (ONE, "sent", "13", "Type A", None),
        (FOUR, "sent", "13", "Type A", None),
        (ONE, "redeemed", "13", "Type A", "100"),
    ]


def test_kpis_keep_simulated_and_real_days_apart(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select is_simulated, order_count, sales_value, buying_profiles, active_profiles, page_views, product_views, cart_adds "
        "from marts.kpi_daily where kpi_date = date '2017-12-20' order by 1"
    )
    assert found == [(False, 1, Decimal("0.30"), 1, 1, 0, 0, 0), (True, 0, Decimal("0.00"), 0, 1, 1, 1, 1)]
    total = warehouse.rows("select sum(sales_value), sum(emails_delivered), min(kpi_date) from marts.kpi_daily")
    assert total == [(Decimal("46.40"), 3, date(2017, 2, 1))]


def test_scores_follow_the_merged_profile_into_the_sync(warehouse: Warehouse) -> None:
    found = warehouse.rows("select profile_id, rank, item_id, tier from marts.fct_recommendations order by 1, 2")
    assert found == [
        (ONE, 1, "TYPE P2", "personal"),
        (ONE, 2, "TYPE P4", "personal"),
        (ONE, 3, "TYPE P5", "personal"),
        (THREE, 1, "TYPE P1", "popular"),
    ]
    sent = warehouse.rows(
        "select profile_id, segment_name, cluster_name, recommended_item_1, recommended_item_3, lifetime_value "
        "from activation.sync_file_drop_profiles where segment_name in ('email_engaged', 'high_value_loyal') order by 2"
    )
    same = ("frequent buyers", "TYPE P2", "TYPE P5", Decimal("42.00"))
    assert sent == [(ONE, "email_engaged", *same), (ONE, "high_value_loyal", *same)]


def test_scores_are_only_of_those_who_allow_it(warehouse: Warehouse) -> None:
    found = warehouse.rows(
        "select profile_id, score_name, score, is_simulated from marts.fct_profile_scores order by 1, 2"
    )
    assert found == [(ONE, "churn", 0.25, False), (ONE, "clv", 120.5, False), (TWO, "churn", 0.75, False)]


def test_only_profiles_that_may_be_contacted_are_synced(warehouse: Warehouse) -> None:
    members = warehouse.rows("select segment_name, profile_id from marts.fct_segment_memberships order by 1")
    assert ("new_customers", THREE) in members  # in a segment, without consent
    assert warehouse.rows(f"select count(*) from activation.sync_file_drop_profiles where profile_id = '{THREE}'") == [
        (0,)
    ]


def test_every_public_table_tells_simulated_rows(warehouse: Warehouse) -> None:
    silent = warehouse.rows(
        "select table_schema, table_name from information_schema.columns "
        "where table_schema in ('marts', 'segments', 'activation') group by all "
        "having not bool_or(column_name = 'is_simulated')"
    )
    assert silent == []
    assert warehouse.rows("select count(*) from information_schema.tables where table_schema = 'segments'") == [(39,)]
    differing = warehouse.rows(
        "select m.profile_id from marts.fct_segment_memberships as m join marts.dim_profiles as p using (profile_id) "
        "where m.is_simulated is distinct from p.is_simulated"
    )
    assert differing == []
