select
    run_id,
    stage,
    rows_in,
    rows_out,
    seconds,
    peak_memory_bytes,
    status,
    details,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_runs') }}
