{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone('event_key', ref('int_changes__events')) }}"
) }}
{% set fields = {'path': 'string', 'url': 'string', 'referrer': 'string'} %}
{% set about = {
    'page': {'path': 'string', 'url': 'string', 'referrer': 'string'},
    'campaign': {'source': 'string', 'medium': 'string', 'name': 'string'},
} %}

with chosen as (
    select interactions.*
    from {{ ref('stg_web__interactions') }} as interactions
    {% if var('increment') and is_incremental() %}
    -- What is now another's says the same as before. The position prunes files: what came last is at the end.
    inner join {{ ref('int_changes__events') }} as changes
        on
            changes.change = 'new'
            and interactions.receive_position = changes.receive_position
            and interactions.event_key = changes.event_key
    {% endif %}
),

parsed as (
    select
        *,
        {{ parse_json('page_properties', fields) }} as body,
        {{ parse_json('context', about) }} as about
    from chosen
),

said as (
    select
        *,
        coalesce(body.path, about.page.path) as path,
        coalesce(body.url, about.page.url) as url,
        coalesce(body.referrer, about.page.referrer) as referrer
    from parsed
)

select
    event_key,
    source,
    is_simulated,
    anonymous_id,
    type,
    name,
    effective_at,
    receive_position,
    {{ bare_path('path') }} as page_path,
    {{ url_host('url') }} as page_host,
    {{ url_host('referrer') }} as referrer_host,
    nullif(lower(about.campaign.source), '') as utm_source,
    nullif(lower(about.campaign.medium), '') as utm_medium,
    nullif(lower(about.campaign.name), '') as utm_campaign,
    is_known_bot
from said
