select
    run_id,
    gate,
    table_name,
    expectation,
    column_name,
    severity,
    is_success,
    observed,
    expected,
    table_version,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_quality_results') }}
