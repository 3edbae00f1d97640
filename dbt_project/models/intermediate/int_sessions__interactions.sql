-- In an increment those that have come: what is now another's says the same as before. Not kept, as it is joined once.
{{ config(materialized='ephemeral') }}
{% set fields = {'path': 'string', 'url': 'string', 'referrer': 'string'} %}
{% set about = {
    'page': {'path': 'string', 'url': 'string', 'referrer': 'string'},
    'campaign': {'source': 'string', 'medium': 'string', 'name': 'string'},
} %}

with parsed as (
    select
        *,
        {{ parse_json('page_properties', fields) }} as body,
        {{ parse_json('context', about) }} as about
    from {{ ref('stg_web__interactions') }}
),

said as (
    select
        *,
        coalesce(body.path, about.page.path) as path,
        {{ url_host('coalesce(body.url, about.page.url)') }} as page_host,
        {{ url_host('coalesce(body.referrer, about.page.referrer)') }} as referrer_host
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
    case when referrer_host = page_host then null else referrer_host end as referrer_host,
    nullif(lower(about.campaign.source), '') as utm_source,
    nullif(lower(about.campaign.medium), '') as utm_medium,
    nullif(lower(about.campaign.name), '') as utm_campaign,
    is_known_bot
from said
