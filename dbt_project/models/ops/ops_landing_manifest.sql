select
    file_number,
    source,
    file_name,
    sha256,
    size_bytes,
    row_count,
    status,
    reason,
    details,
    run_id,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_landing_manifest') }}
