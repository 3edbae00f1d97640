select
    old_token,
    new_token
from {{ source('lake', 'ops_token_aliases') }}
