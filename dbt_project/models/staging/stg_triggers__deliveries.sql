-- The key of what a sync of messages sends is the occasion; outcomes keep it in the column of keys, profile_id.
select
    profile_id as occasion_id,
    min(cast(acknowledged_at as timestamp)) as sent_at
from {{ source('lake', 'ops_sync_outcomes') }}
where
    outcome = 'delivered'
    and operation != 'remove'
    and cast(acknowledged_at as timestamp) <= {{ as_of() }}
group by profile_id
