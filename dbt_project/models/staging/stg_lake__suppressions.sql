select
    identifier_type,
    identifier_value,
    reason,
    source,
    cast(effective_at as timestamp) as effective_at
from {{ source('lake', 'suppressions') }}
where cast(effective_at as timestamp) <= {{ as_of() }}
