-- Several versions may be known: the latest holds, and of two with the same date the one received last.
{% set fields = {
    'campaign_id': 'string',
    'campaign_type': 'string',
    'start_date': 'string',
    'end_date': 'string',
} %}

with parsed as (
    select
        record_id,
        source,
        is_simulated,
        row_number() over (
            partition by record_key
            order by valid_from desc, receive_position desc, record_id
        ) as version_rank,
        {{ parse_json('properties', fields) }} as body
    from {{ source('lake', 'silver_records') }}
    where
        object = 'campaign'
        and {{ received() }}
        and cast(valid_from as timestamp) <= {{ as_of() }}
)

select
    body.campaign_id as campaign_id,
    body.campaign_type as campaign_type,
    body.start_date as start_date,
    body.end_date as end_date,
    source,
    is_simulated
from parsed
where version_rank = 1
