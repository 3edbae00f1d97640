select
    model_name,
    model_version,
    profile_id as scored_profile_id,
    cluster_id,
    cluster_name,
    distinguishing_traits,
    distance,
    coalesce(ledger_version, 0) as ledger_version,
    cast(scored_at as timestamp) as scored_at
from {{ source('lake', 'gold_profile_clusters') }}
where cast(scored_at as timestamp) <= {{ as_of() }}
