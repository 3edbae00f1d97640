"""The real layer: the data package as its systems would deliver it. Nothing is added but envelopes and receipt times."""

import logging

from jobs.sample import shares
from jobs.sample.database import Database
from jobs.sample.writer import Landing

log = logging.getLogger(__name__)

# Built as text from numbers and fixed names: exact cents, and several times faster than nested structs.
ORDERS = """
select
    '{{"messageId":"pos-' || basket_id || '","type":"track","event":"Order Completed","timestamp":"' || iso(ordered_at)
    || '","receivedAt":"' || iso(ordered_at + hours({lag})) || '","loyaltyId":"' || household_id
    || '","properties":{{"order_id":"' || basket_id || '","store_id":"' || store_id || '","week":' || week
    || ',"currency":"USD","total":' || total || ',"products":[' || products || ']}}}}'
from (
    select
        basket_id, any_value(household_id) as household_id, any_value(store_id) as store_id, any_value(week) as week,
        any_value(ordered_at) as ordered_at, sum(sales_value)::decimal(18, 2) as total,
        string_agg(
            '{{"product_id":"' || product_id || '","quantity":' || quantity || ',"sales_value":' || sales_value
            || ',"retail_disc":' || retail_disc || ',"coupon_disc":' || coupon_disc
            || ',"coupon_match_disc":' || coupon_match_disc || '}}',
            ',' order by product_id
        ) as products
    from lines where strftime(ordered_at, '%Y_%m') = '{month}'
    group by basket_id
)
order by ordered_at, basket_id
"""

SENDS = """
select
    '{{"messageId":"send-' || campaign_id || '-' || household_id || '","type":"track","event":"Campaign Sent","timestamp":"'
    || iso(start_date) || '","receivedAt":"' || iso(start_date + hours({lag})) || '","loyaltyId":"' || household_id
    || '","properties":{{"campaign_id":"' || campaign_id || '"' || text_member('campaign_type', campaign_type) || '}}}}'
from sends order by start_date, campaign_id, household_id
"""

REDEMPTIONS = """
select
    '{{"messageId":"redeem-' || household_id || '-' || coupon_upc || '-' || campaign_id || '-'
    || strftime(redemption_date, '%Y%m%d') || '","type":"track","event":"Coupon Redeemed","timestamp":"'
    || iso(redemption_date) || '","receivedAt":"' || iso(redemption_date + hours({lag})) || '","loyaltyId":"'
    || household_id || '","properties":{{"coupon_upc":"' || coupon_upc || '","campaign_id":"' || campaign_id || '"}}}}'
from redemptions order by redemption_date, household_id, coupon_upc, campaign_id
"""

# source -> (file, query whose columns are those of the contract, in order)
RECORDS = {
    "catalog": (
        "products.csv.gz",
        "select product_id, manufacturer_id, department, brand, product_category, product_type, package_size"
        " from catalog order by product_id",
    ),
    "crm_households": (
        "households.csv",
        "select household_id, age, income, home_ownership, marital_status, household_size, household_comp, kids_count"
        " from demographics order by household_id",
    ),
    "crm_campaigns": (
        "campaigns.csv",
        "select campaign_id, campaign_type, start_date::date as start_date, end_date::date as end_date"
        " from calendar order by campaign_id",
    ),
    "crm_coupons": (
        "coupons.csv.gz",
        "select coupon_upc, product_id, campaign_id from coupons order by campaign_id, coupon_upc, product_id",
    ),
}


def write_real(database: Database, landing: Landing) -> None:
    """Writes orders (a file a month), campaign sends, coupon redemptions, catalog, households, campaigns and coupons."""
    months = database.rows("select distinct strftime(ordered_at, '%Y_%m') as month from lines order by month")
    for (month,) in months:
        query = ORDERS.format(month=month, lag=_hours(shares.POS_LAG.total_seconds()))
        landing.write_lines("pos", f"orders_{month}.ndjson.gz", database.texts(query))
    log.info("sample: orders of %d months written", len(months))
    sends = SENDS.format(lag=_hours(shares.SENDS_LAG.total_seconds()))
    landing.write_lines("campaign_sends", "sends.ndjson.gz", database.texts(sends))
    redemptions = REDEMPTIONS.format(lag=_hours(shares.REDEMPTIONS_LAG.total_seconds()))
    landing.write_lines("coupon_redemptions", "redemptions.ndjson.gz", database.texts(redemptions))
    for source, (file, query) in RECORDS.items():
        columns = tuple(str(name) for name, *_ in database.rows(f"describe {query}"))
        landing.write_csv(source, file, columns, database.batches(query))
    log.info("sample: campaign sends, redemptions and %d record files written", len(RECORDS))


def _hours(seconds: float) -> float:
    return seconds / 3600
