-- Both sides of a split or an undo: what was computed of the profile before mixes two people, whichever it is kept for.
with sides as (
    select
        profile_id,
        ledger_version
    from {{ ref('stg_identity__partings') }}
    union all
    select
        other_profile_id as profile_id,
        ledger_version
    from {{ ref('stg_identity__partings') }}
)

select
    profile_id,
    max(ledger_version) as ledger_version
from sides
where profile_id is not null
group by profile_id
