{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}"
) }}
with exploded as (
    {{ explode(ref('stg_pos__orders'), 'products') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
)

select
    exploded.event_key,
    exploded.order_id,
    cast(exploded.position as bigint) as line_number,
    exploded.element.product_id as product_id,
    cast(cast(exploded.element.quantity as decimal(18, 2)) as bigint) as quantity,
    cast(exploded.element.sales_value as decimal(18, 2)) as sales_value,
    coalesce(cast(exploded.element.retail_disc as decimal(18, 2)), 0) as retail_discount,
    coalesce(cast(exploded.element.coupon_disc as decimal(18, 2)), 0) as coupon_discount,
    coalesce(cast(exploded.element.coupon_match_disc as decimal(18, 2)), 0) as coupon_match_discount
from exploded
inner join {{ ref('int_orders__accepted') }} as accepted on exploded.event_key = accepted.event_key
