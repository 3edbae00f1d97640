select
    identifier_type,
    identifier_value,
    source,
    is_simulated,
    min(cast(effective_at as timestamp)) as first_seen_at,
    max(cast(effective_at as timestamp)) as last_seen_at
from {{ source('lake', 'silver_identifiers') }}
where cast(received_at as timestamp) <= {{ as_of() }}
group by identifier_type, identifier_value, source, is_simulated
