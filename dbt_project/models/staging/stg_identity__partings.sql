select
    entry_id,
    profile_id,
    other_profile_id,
    ledger_version
from {{ source('lake', 'identity_ledger') }}
where
    action in ('split', 'undo')
    and cast(occurred_at as timestamp) <= {{ as_of() }}
