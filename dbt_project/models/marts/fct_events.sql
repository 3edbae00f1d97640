select
    events.event_key,
    events.source,
    events.event_id,
    events.is_simulated,
    profiles.profile_id,
    events.type,
    events.name,
    events.occurred_at,
    events.effective_at,
    events.received_at,
    events.event_date,
    events.is_time_suspect
from {{ ref('stg_lake__events') }} as events
inner join {{ ref('int_identity__event_profiles') }} as profiles on events.event_key = profiles.event_key
