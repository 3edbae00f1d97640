-- Every version of what may be about a person; which records are, their identifiers say.
select
    source,
    record_id,
    is_simulated,
    cast(valid_from as timestamp) as valid_from,
    cast(received_at as timestamp) as received_at,
    receive_position,
    properties
from {{ source('lake', 'silver_records') }}
where
    object not in ('product', 'campaign', 'coupon')
    and {{ received() }}
    and cast(valid_from as timestamp) <= {{ as_of() }}
