select
    model_name,
    model_version,
    profile_id as scored_profile_id,
    rank,
    item_kind,
    item_id,
    product_id,
    score,
    tier,
    is_fallback,
    fallback_reason,
    coalesce(ledger_version, 0) as ledger_version,
    cast(scored_at as timestamp) as scored_at
from {{ source('lake', 'gold_recommendations') }}
where cast(scored_at as timestamp) <= {{ as_of() }}
