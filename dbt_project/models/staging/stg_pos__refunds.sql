{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone() }}"
) }}
{% set fields = {
    'order_id': 'string',
    'refund_id': 'string',
    'total': 'string',
    'currency': 'string',
    'reason': 'string',
    'products': [{'product_id': 'string'}],
} %}

with parsed as (
    select
        source,
        event_id,
        is_simulated,
        effective_at,
        event_date,
        receive_position,
        {{ parse_json('properties', fields) }} as body
    from {{ arriving('silver_events') }}
    where
        name = 'Order Refunded'
        and {{ received() }}
)

select
    source || '|' || event_id as event_key,
    source,
    event_id,
    is_simulated,
    body.order_id as order_id,
    body.refund_id as refund_id,
    cast(body.total as decimal(18, 2)) as total,
    body.currency as currency,
    body.reason as reason,
    body.products is not null as is_for_products,
    cast(effective_at as timestamp) as refunded_at,
    event_date as refund_date,
    receive_position
from parsed
