-- Not kept, as stg_lake__events: rules read the few events that they name, with the JSON of what was sent.
{{ config(materialized='ephemeral') }}

select
    source || '|' || event_id as event_key,
    name,
    cast(effective_at as timestamp) as effective_at,
    cast(received_at as timestamp) as received_at,
    receive_position,
    properties
from {{ arriving('silver_events') }}
where cast(received_at as timestamp) <= {{ as_of() }}
