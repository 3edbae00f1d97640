select
    entry_id,
    sequence,
    journey_name,
    trigger_name,
    profile_id as entered_profile_id,
    step_name,
    reason,
    cast(entered_at as timestamp) as entered_at,
    cast(state_at as timestamp) as state_since,
    cast(due_at as timestamp) as due_at
from {{ source('lake', 'journey_states') }}
where cast(known_at as timestamp) <= {{ as_of() }}
