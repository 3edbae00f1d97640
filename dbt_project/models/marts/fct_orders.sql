{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}",
    on_schema_change='fail'
) }}
{% set kinds = identifier_columns() %}
with refunded as (
    select
        order_event_key,
        cast(count(*) as bigint) as refund_count,
        cast(sum(case when currency = order_currency then refund_value end) as decimal(18, 2)) as refunded_value
    from {{ ref('int_orders__refunds') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
    group by order_event_key
),

counted as (
    select * from {{ ref('int_orders__accepted') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
),

totals as (
    select * from {{ ref('int_orders__totals') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
)

select
    orders.order_id,
    orders.source,
    orders.event_id,
    orders.is_simulated,
    {{ owner(kinds) }} as profile_id,
    orders.ordered_at,
    orders.order_date,
    orders.store_id,
    coalesce(totals.line_count, 0) as line_count,
    coalesce(totals.item_quantity, 0) as item_quantity,
    cast(coalesce(totals.sales_value, 0) as decimal(18, 2)) as sales_value,
    cast(coalesce(totals.retail_discount, 0) as decimal(18, 2)) as retail_discount,
    cast(coalesce(totals.coupon_discount, 0) as decimal(18, 2)) as coupon_discount,
    cast(coalesce(totals.coupon_match_discount, 0) as decimal(18, 2)) as coupon_match_discount,
    orders.currency,
    coalesce(refunded.refund_count, 0) as refund_count,
    cast(coalesce(refunded.refunded_value, 0) as decimal(18, 2)) as refunded_value
from {{ ref('stg_pos__orders') }} as orders
inner join counted on orders.event_key = counted.event_key
left join totals on orders.event_key = totals.event_key
left join refunded on orders.event_key = refunded.order_event_key
{{ owner_joins(kinds, 'orders', ref('int_identity__identifiers')) }}
{{ where_changed('orders.order_id', ref('int_changes__orders')) }}
