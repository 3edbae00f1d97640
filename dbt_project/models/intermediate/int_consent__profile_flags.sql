with purposes as (
    select
        profile_id,
        bool_or(purpose = 'marketing' and is_granted) as has_marketing_consent,
        bool_or(purpose = 'profiling' and is_granted) as has_profiling_consent,
        bool_or(purpose = 'sharing' and is_granted) as has_sharing_consent
    from {{ ref('int_consent__profile_purposes') }}
    group by profile_id
),

-- As in int_consent__profile_purposes, the two tokens of a value are one identifier.
unwanted as (
    select
        suppressions.identifier_type,
        coalesce(aliases.new_token, suppressions.identifier_value) as identifier_value
    from {{ ref('stg_lake__suppressions') }} as suppressions
    left join {{ ref('stg_lake__token_aliases') }} as aliases on suppressions.identifier_value = aliases.old_token
),

identifiers as (
    select
        known.profile_id,
        known.identifier_type,
        coalesce(aliases.new_token, known.identifier_value) as identifier_value
    from {{ ref('int_identity__identifiers') }} as known
    left join {{ ref('stg_lake__token_aliases') }} as aliases on known.identifier_value = aliases.old_token
),

suppressed as (
    select distinct identifiers.profile_id
    from unwanted
    inner join identifiers
        on
            unwanted.identifier_type = identifiers.identifier_type
            and unwanted.identifier_value = identifiers.identifier_value
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
