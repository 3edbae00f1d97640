{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone() }}"
) }}
{% set fields = {'campaign_id': 'string', 'email_id': 'string'} %}

with parsed as (
    select
        *,
        {{ parse_json('properties', fields) }} as body
    from {{ arriving('silver_events') }}
    where
        name in ('Email Delivered', 'Email Opened', 'Email Link Clicked')
        and {{ received() }}
)

select
    source || '|' || event_id as event_key,
    source,
    is_simulated,
    name,
    body.email_id as email_id,
    body.campaign_id as campaign_id,
    cast(effective_at as timestamp) as effective_at,
    event_date
from parsed
