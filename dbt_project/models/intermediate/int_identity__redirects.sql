-- Where an id leads that somebody may still hold: of a profile that was merged away, and of the provisional one that an
-- identifier had before a run gave it to an older profile.
with merged as (
    select * from {{ ref('stg_identity__profile_redirects') }}
),

known as (
    select
        identifier_type,
        identifier_value,
        profile_id,
        {{ founded_profile_id('identifier_type', 'identifier_value') }} as first_id
    from {{ ref('stg_identity__profile_identifiers') }}
),

taken as (
    select profile_id from known
    union distinct
    select from_profile_id from merged
),

provisional as (
    select
        case
            when taken.profile_id is null then known.first_id
            else {{ founded_profile_id('known.identifier_type', 'known.identifier_value', 1) }}
        end as from_profile_id,
        coalesce(merged.to_profile_id, known.profile_id) as to_profile_id
    from known
    left join taken on known.first_id = taken.profile_id
    left join merged on known.profile_id = merged.from_profile_id
    where known.first_id != known.profile_id
)

select
    from_profile_id,
    to_profile_id
from merged
union all
select
    from_profile_id,
    to_profile_id
from provisional
where from_profile_id not in (select profile_id from taken)
