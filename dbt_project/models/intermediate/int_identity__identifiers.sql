with identifiers as (
    select * from {{ ref('stg_identity__profile_identifiers') }}
),

redirects as (
    select * from {{ ref('stg_identity__profile_redirects') }}
)

select
    identifiers.identifier_type,
    identifiers.identifier_value,
    coalesce(redirects.to_profile_id, identifiers.profile_id) as profile_id,
    false as is_provisional
from identifiers
left join redirects on identifiers.profile_id = redirects.from_profile_id
union all
select
    identifier_type,
    identifier_value,
    profile_id,
    true as is_provisional
from {{ ref('int_identity__provisional') }}
