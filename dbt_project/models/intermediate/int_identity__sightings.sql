{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('profile_id', ref('int_changes__profiles')) }}"
) }}
select
    identifiers.profile_id,
    sightings.identifier_type,
    sightings.identifier_value,
    sightings.source,
    sightings.is_simulated,
    sightings.first_seen_at,
    sightings.last_seen_at
from {{ ref('stg_lake__identifier_sightings') }} as sightings
inner join {{ ref('int_identity__identifiers') }} as identifiers
    on
        sightings.identifier_type = identifiers.identifier_type
        and sightings.identifier_value = identifiers.identifier_value
{{ where_changed('identifiers.profile_id', ref('int_changes__profiles')) }}
