select
    from_profile_id,
    to_profile_id,
    cast(merged_at as timestamp) as merged_at
from {{ source('lake', 'profile_redirects') }}
