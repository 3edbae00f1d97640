-- Several versions may be known: the latest holds, and of two with the same date the one received last.
{% set fields = {
    'household_id': 'string',
    'age': 'string',
    'income': 'string',
    'home_ownership': 'string',
    'marital_status': 'string',
    'household_size': 'string',
    'household_comp': 'string',
    'kids_count': 'string',
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
        object = 'household'
        and {{ received() }}
        and cast(valid_from as timestamp) <= {{ as_of() }}
)

select
    body.household_id as household_id,
    body.age as age_band,
    body.income as income_band,
    body.home_ownership as home_ownership,
    body.marital_status as marital_status,
    body.household_size as household_size,
    body.household_comp as household_composition,
    body.kids_count as kids_count,
    source,
    is_simulated
from parsed
where version_rank = 1
