select
    run_id,
    sync_name,
    profile_id,
    operation,
    outcome,
    reason,
    row_hash,
    cast(acknowledged_at as timestamp) as acknowledged_at,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_sync_outcomes') }}
