select
    consent_id,
    source,
    identifier_type,
    identifier_value,
    purpose,
    status,
    cast(effective_at as timestamp) as effective_at,
    receive_position
from {{ source('lake', 'consents') }}
where
    {{ received() }}
    and cast(effective_at as timestamp) <= {{ as_of() }}
