select
    event_key,
    cast(count(*) as bigint) as line_count,
    cast(sum(quantity) as bigint) as item_quantity,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value,
    cast(sum(retail_discount) as decimal(18, 2)) as retail_discount,
    cast(sum(coupon_discount) as decimal(18, 2)) as coupon_discount,
    cast(sum(coupon_match_discount) as decimal(18, 2)) as coupon_match_discount
from {{ ref('int_orders__lines') }}
group by event_key
