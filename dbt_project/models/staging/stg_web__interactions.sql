-- What a browser or an app did: it names itself by an anonymous_id. Not kept, and parsed only where it is used.
{{ config(materialized='ephemeral') }}

select
    source || '|' || event_id as event_key,
    source,
    is_simulated,
    anonymous_id,
    type,
    name,
    cast(effective_at as timestamp) as effective_at,
    receive_position,
    context,
    -- Of a page message the page stands in the properties too.
    case when type = 'page' then properties end as page_properties,
    coalesce(array_contains(flags, 'known_bot'), false) as is_known_bot
from {{ arriving('silver_events') }}
where
    anonymous_id is not null
    and {{ received() }}
