select
    occasion_id,
    decision,
    trigger_name,
    journey_name,
    step_name,
    message,
    profile_id as decided_profile_id,
    purpose,
    reasons,
    cast(occasion_at as timestamp) as occasion_at,
    cast(decided_at as timestamp) as decided_at,
    cast(not_before as timestamp) as not_before,
    cast(expires_at as timestamp) as expires_at,
    cast(undone_at as timestamp) as undone_at,
    delay_seconds
from {{ source('lake', 'trigger_decisions') }}
where cast(known_at as timestamp) <= {{ as_of() }}
