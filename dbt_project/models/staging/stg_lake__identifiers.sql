-- Not kept: it has more rows than any other table, and is joined once.
{{ config(materialized='ephemeral') }}

select
    source,
    event_id,
    identifier_type,
    identifier_value
from {{ source('lake', 'silver_identifiers') }}
where {{ received() }}
