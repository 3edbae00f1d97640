{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget_gone() }}"
) }}
select
    source || '|' || event_id as event_key,
    source,
    is_simulated,
    cast(effective_at as timestamp) as effective_at,
    cast(received_at as timestamp) as received_at,
    receive_position,
    properties
from {{ arriving('silver_events') }}
where
    type = 'identify'
    and properties is not null
    and {{ received() }}
