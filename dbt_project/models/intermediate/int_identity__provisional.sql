-- An identifier that the last identity run has not seen has the profile that a run would found on it.
-- The next run adopts it.
with known as (
    select * from {{ ref('stg_identity__profile_identifiers') }}
),

taken as (
    select profile_id from known
    union distinct
    select from_profile_id from {{ ref('stg_identity__profile_redirects') }}
),

unseen as (
    select distinct
        sightings.identifier_type,
        sightings.identifier_value,
        coalesce(aliases.new_token, sightings.identifier_value) as current_value
    from {{ ref('stg_lake__identifier_sightings') }} as sightings
    left join known
        on
            sightings.identifier_type = known.identifier_type
            and sightings.identifier_value = known.identifier_value
    left join {{ ref('stg_lake__token_aliases') }} as aliases on sightings.identifier_value = aliases.old_token
    -- Whose the former id in an alias was is for the next run to say.
    where known.profile_id is null and sightings.identifier_type != 'previous_id'
),

people as (
    select
        identifier_type,
        identifier_value,
        {{ founded_profile_id('identifier_type', 'current_value') }} as first_id,
        {{ founded_profile_id('identifier_type', 'current_value', 1) }} as second_id
    from unseen
    where not exists (
        select 1
        from {{ ref('stg_identity__blocked') }} as nobody
        where
            nobody.identifier_type = unseen.identifier_type
            and (
                (nobody.rule = 'value' and nobody.blocked = lower(trim(unseen.current_value)))
                or (nobody.rule = 'pattern' and {{ matches_whole('trim(unseen.current_value)', 'nobody.blocked') }})
            )
    )
)

select
    people.identifier_type,
    people.identifier_value,
    case when taken.profile_id is null then people.first_id else people.second_id end as profile_id
from people
left join taken on people.first_id = taken.profile_id
