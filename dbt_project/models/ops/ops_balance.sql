select
    run_id,
    source,
    received,
    accepted,
    duplicate,
    quarantined,
    suppressed,
    in_flight,
    is_balanced,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_balance') }}
