{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone() }}"
) }}
{% set fields = {'campaign_id': 'string', 'campaign_type': 'string', 'coupon_upc': 'string'} %}

with parsed as (
    select
        *,
        {{ parse_json('properties', fields) }} as body
    from {{ arriving('silver_events') }}
    where
        name in ('Campaign Sent', 'Coupon Redeemed')
        and {{ received() }}
)

select
    source || '|' || event_id as event_key,
    source,
    is_simulated,
    case name when 'Campaign Sent' then 'sent' else 'redeemed' end as touch_type,
    body.campaign_id as campaign_id,
    body.campaign_type as campaign_type,
    body.coupon_upc as coupon_upc,
    cast(effective_at as timestamp) as touched_at
from parsed
