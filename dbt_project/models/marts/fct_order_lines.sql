{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}",
    on_schema_change='fail'
) }}
select
    orders.order_id || '-' || cast(lines.line_number as {{ dbt.type_string() }}) as order_line_id,
    orders.order_id,
    lines.line_number,
    orders.source,
    orders.is_simulated,
    orders.profile_id,
    lines.product_id,
    lines.quantity,
    lines.sales_value,
    cast(lines.retail_discount as decimal(18, 2)) as retail_discount,
    cast(lines.coupon_discount as decimal(18, 2)) as coupon_discount,
    cast(lines.coupon_match_discount as decimal(18, 2)) as coupon_match_discount,
    orders.currency,
    orders.ordered_at,
    orders.order_date
from {{ ref('int_orders__lines') }} as lines
inner join {{ ref('fct_orders') }} as orders on lines.order_id = orders.order_id
{{ where_changed('orders.order_id', ref('int_changes__orders')) }}
