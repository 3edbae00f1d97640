-- Several versions may be known: the latest holds, and of two with the same date the one received last.
{% set fields = {
    'product_id': 'string',
    'manufacturer_id': 'string',
    'department': 'string',
    'brand': 'string',
    'product_category': 'string',
    'product_type': 'string',
    'package_size': 'string',
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
        object = 'product'
        and {{ received() }}
        and cast(valid_from as timestamp) <= {{ as_of() }}
)

select
    body.product_id as product_id,
    body.manufacturer_id as manufacturer_id,
    body.department as department,
    body.brand as brand,
    body.product_category as product_category,
    body.product_type as product_type,
    body.package_size as package_size,
    source,
    is_simulated
from parsed
where version_rank = 1
