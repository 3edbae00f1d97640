select
    run_id,
    model_name,
    model_version,
    metric,
    baseline,
    value,
    is_champion,
    cast(recorded_at as timestamp) as recorded_at
from {{ source('lake', 'ops_model_metrics') }}
