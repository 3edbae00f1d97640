-- The JSON is parsed once, here: the products stay nested until int_orders__lines. Amounts are taken as text and cast to
-- decimal there, never through double.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone() }}"
) }}
{% set product = {
    'product_id': 'string',
    'quantity': 'string',
    'sales_value': 'string',
    'retail_disc': 'string',
    'coupon_disc': 'string',
    'coupon_match_disc': 'string',
} %}
{% set fields = {'order_id': 'string', 'store_id': 'string', 'currency': 'string', 'products': [product]} %}

with parsed as (
    select
        source,
        event_id,
        is_simulated,
        effective_at,
        event_date,
        receive_position,
        user_id,
        loyalty_id,
        email_token,
        phone_token,
        anonymous_id,
        {{ parse_json('properties', fields) }} as body
    from {{ arriving('silver_events') }}
    where
        name = 'Order Completed'
        and {{ received() }}
)

select
    source || '|' || event_id as event_key,
    source,
    event_id,
    is_simulated,
    body.order_id as order_id,
    body.store_id as store_id,
    coalesce(body.currency, '{{ var("currency") }}') as currency,
    cast(effective_at as timestamp) as ordered_at,
    event_date as order_date,
    receive_position,
    user_id,
    loyalty_id,
    email_token,
    phone_token,
    anonymous_id,
    body.products as products
from parsed
