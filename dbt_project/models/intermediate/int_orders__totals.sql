{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}"
) }}
select
    event_key,
    min(order_id) as order_id,
    cast(count(*) as bigint) as line_count,
    cast(sum(quantity) as bigint) as item_quantity,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value,
    cast(sum(retail_discount) as decimal(18, 2)) as retail_discount,
    cast(sum(coupon_discount) as decimal(18, 2)) as coupon_discount,
    cast(sum(coupon_match_discount) as decimal(18, 2)) as coupon_match_discount
from {{ ref('int_orders__lines') }}
{{ where_changed('order_id', ref('int_changes__orders')) }}
group by event_key
