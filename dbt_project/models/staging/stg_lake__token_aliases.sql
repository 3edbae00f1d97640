select
    old_token,
    new_token
from {{ source('lake', 'token_aliases') }}
