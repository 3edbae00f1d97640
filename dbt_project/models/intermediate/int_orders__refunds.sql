-- A refund that has a number may be sent again under a new message id: the first one received counts, a real one before a
-- simulated one. Without an amount it is of the whole order, unless it lists products.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('order_id', ref('int_changes__orders')) }}"
) }}
with ranked as (
    select
        *,
        row_number() over (
            partition by order_id, coalesce(refund_id, event_key), refund_id is null
            order by is_simulated, receive_position, event_key
        ) as receive_rank
    from {{ ref('stg_pos__refunds') }}
    {{ where_changed('order_id', ref('int_changes__orders')) }}
),

orders as (
    select
        orders.order_id,
        orders.event_key,
        orders.currency,
        coalesce(totals.sales_value, 0) as sales_value
    from {{ ref('stg_pos__orders') }} as orders
    inner join {{ ref('int_orders__accepted') }} as accepted on orders.event_key = accepted.event_key
    left join {{ ref('int_orders__totals') }} as totals on orders.event_key = totals.event_key
)

select
    refunds.event_key,
    refunds.refund_id,
    refunds.order_id,
    refunds.source,
    refunds.event_id,
    refunds.is_simulated,
    orders.event_key as order_event_key,
    orders.currency as order_currency,
    refunds.refunded_at,
    refunds.refund_date,
    cast(
        case
            when refunds.total is not null then refunds.total
            -- An order of less than nothing gives nothing back.
            when not refunds.is_for_products and orders.sales_value > 0 then orders.sales_value
            when not refunds.is_for_products then orders.sales_value * 0
        end as decimal(18, 2)
    ) as refund_value,
    coalesce(refunds.currency, orders.currency, '{{ var("currency") }}') as currency,
    refunds.total is not null as is_value_stated,
    refunds.reason
from ranked as refunds
left join orders on refunds.order_id = orders.order_id
where refunds.receive_rank = 1
