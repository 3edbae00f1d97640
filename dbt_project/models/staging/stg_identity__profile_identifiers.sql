select
    identifier_type,
    identifier_value,
    profile_id
from {{ source('lake', 'profile_identifiers') }}
