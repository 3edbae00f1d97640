with purposes as (
    select
        profile_id,
        bool_or(purpose = 'marketing' and is_granted) as has_marketing_consent,
        bool_or(purpose = 'profiling' and is_granted) as has_profiling_consent,
        bool_or(purpose = 'sharing' and is_granted) as has_sharing_consent
    from {{ ref('int_consent__profile_purposes') }}
    group by profile_id
),

suppressed as (
    select distinct identifiers.profile_id
    from {{ ref('stg_lake__suppressions') }} as suppressions
    inner join {{ ref('int_identity__identifiers') }} as identifiers
        on
            suppressions.identifier_type = identifiers.identifier_type
            and suppressions.identifier_value = identifiers.identifier_value
)

select
    profiles.profile_id,
    coalesce(purposes.has_marketing_consent, false) as has_marketing_consent,
    coalesce(purposes.has_profiling_consent, false) as has_profiling_consent,
    coalesce(purposes.has_sharing_consent, false) as has_sharing_consent,
    suppressed.profile_id is not null as is_suppressed
from {{ ref('int_identity__profiles') }} as profiles
left join purposes on profiles.profile_id = purposes.profile_id
left join suppressed on profiles.profile_id = suppressed.profile_id
