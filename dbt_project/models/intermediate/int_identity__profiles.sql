-- Of several identifiers of a kind the one seen last speaks for the profile; ties go to the smaller value.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('profile_id', ref('int_changes__profiles')) }}"
) }}
with sightings as (
    select * from {{ ref('int_identity__sightings') }}
    {{ where_changed('profile_id', ref('int_changes__profiles')) }}
),

ranked as (
    select
        profile_id,
        identifier_type,
        identifier_value,
        row_number() over (
            partition by profile_id, identifier_type
            order by last_seen_at desc, identifier_value
        ) as recency_rank
    from sightings
),

chosen as (
    select
        profile_id,
        max(case when identifier_type = 'loyalty_id' then identifier_value end) as loyalty_id,
        max(case when identifier_type = 'user_id' then identifier_value end) as user_id,
        max(case when identifier_type = 'email' then identifier_value end) as email_token,
        max(case when identifier_type = 'phone' then identifier_value end) as phone_token
    from ranked
    where recency_rank = 1
    group by profile_id
),

seen as (
    select
        profile_id,
        bool_and(is_simulated) as is_simulated,
        {{ sorted_list('source') }} as sources,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from sightings
    group by profile_id
)

select
    seen.profile_id,
    seen.is_simulated,
    seen.sources,
    chosen.loyalty_id,
    chosen.user_id,
    chosen.email_token,
    chosen.phone_token,
    seen.first_seen_at,
    seen.last_seen_at
from seen
inner join chosen on seen.profile_id = chosen.profile_id
