{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('visitor', ref('int_changes__visitors'), own=\"coalesce(profile_id, 'anonymous:' || anonymous_id)\") }}",
    on_schema_change='fail'
) }}
with orders as (
    select
        events.session_id,
        cast(count(*) as bigint) as order_count,
        {{ count_where("orders.currency = '" ~ var("currency") ~ "'") }} as orders_in_currency,
        sum(case when orders.currency = '{{ var("currency") }}' then orders.sales_value end) as sales_value
    from {{ ref('fct_orders') }} as orders
    inner join {{ of_either(ref('int_changes__visits'), ref('int_sessions__events')) }} as events
        on orders.source || '|' || orders.event_id = events.event_key
    group by events.session_id
),

landings as (
    select * from {{ ref('int_sessions__landings') }}
    {{ where_changed('visitor', ref('int_changes__visitors')) }}
)

select
    sessions.session_id,
    sessions.profile_id,
    sessions.anonymous_id,
    sessions.sources,
    sessions.is_simulated,
    sessions.is_bot,
    sessions.started_at,
    sessions.ended_at,
    cast(sessions.started_at as date) as session_date,
    sessions.event_count,
    sessions.page_views,
    sessions.product_views,
    sessions.cart_adds,
    landings.landing_path,
    landings.referrer_host,
    landings.utm_source,
    landings.utm_medium,
    landings.utm_campaign,
    {{ channel(
        'landings.utm_source', 'landings.utm_medium', 'landings.utm_campaign', 'landings.referrer_host'
    ) }} as channel,
    coalesce(orders.order_count, 0) as order_count,
    cast(coalesce(orders.sales_value, 0) as decimal(18, 2)) as sales_value,
    '{{ var("currency") }}' as currency,
    coalesce(orders.order_count - orders.orders_in_currency, 0) as orders_in_other_currencies
from {{ ref('int_sessions__totals') }} as sessions
left join landings on sessions.session_id = landings.session_id
left join orders on sessions.session_id = orders.session_id
{{ where_changed('sessions.visitor', ref('int_changes__visitors')) }}
