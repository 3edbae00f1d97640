-- What a browser or an app did: it names itself by an anonymous_id. Of a page message the page stands in the properties too.
{% set fields = {'path': 'string', 'url': 'string', 'referrer': 'string'} %}
{% set about = {
    'page': {'path': 'string', 'url': 'string', 'referrer': 'string'},
    'campaign': {'source': 'string', 'medium': 'string', 'name': 'string'},
} %}

with parsed as (
    select
        *,
        {{ parse_json("case when type = 'page' then properties end", fields) }} as body,
        {{ parse_json('context', about) }} as about
    from {{ source('lake', 'silver_events') }}
    where
        anonymous_id is not null
        and cast(received_at as timestamp) <= {{ as_of() }}
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
    source || '|' || event_id as event_key,
    source,
    is_simulated,
    anonymous_id,
    type,
    name,
    cast(effective_at as timestamp) as effective_at,
    receive_position,
    {{ bare_path('path') }} as page_path,
    {{ url_host('url') }} as page_host,
    {{ url_host('referrer') }} as referrer_host,
    nullif(lower(about.campaign.source), '') as utm_source,
    nullif(lower(about.campaign.medium), '') as utm_medium,
    nullif(lower(about.campaign.name), '') as utm_campaign,
    coalesce(array_contains(flags, 'known_bot'), false) as is_known_bot
from said
