select
    identifier_type,
    rule,
    blocked
from {{ source('lake', 'ops_blocked_identifiers') }}
