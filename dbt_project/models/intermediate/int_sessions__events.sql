-- Whoever is known is one visitor over all browsers; a browser of nobody is one by itself. More than
-- session_gap_minutes without an event ends a session. A session is called after its first event.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('visitor', ref('int_changes__visitors')) }}"
) }}
with everything as (
    select
        interactions.*,
        profiles.profile_id,
        coalesce(profiles.profile_id, 'anonymous:' || interactions.anonymous_id) as visitor
    from {{ ref('int_sessions__interactions') }} as interactions
    inner join {{ ref('int_identity__event_profiles') }} as profiles on interactions.event_key = profiles.event_key
),

visits as (
    select * from everything
    {{ where_changed('visitor', ref('int_changes__visitors')) }}
),

gaps as (
    select
        *,
        lag(effective_at) over (
            partition by visitor
            order by effective_at, receive_position, event_key
        ) as previous_at
    from visits
),

counted as (
    select
        *,
        sum(case
            when effective_at > previous_at + interval '{{ var("session_gap_minutes") }}' minute then 1
            else 0
        end) over (
            partition by visitor
            order by effective_at, receive_position, event_key
            rows between unbounded preceding and current row
        ) as session_number
    from gaps
),

placed as (
    select
        *,
        first_value(event_key) over (
            partition by visitor, session_number
            order by effective_at, receive_position, event_key
        ) as first_event_key,
        row_number() over (
            partition by visitor, session_number
            order by effective_at, receive_position, event_key
        ) as place
    from counted
)

select
    event_key,
    's_' || substr(md5(first_event_key), 1, 24) as session_id,
    cast(place as bigint) as place,
    visitor,
    profile_id,
    anonymous_id,
    source,
    is_simulated,
    type,
    name,
    effective_at,
    page_path,
    case when referrer_host = page_host then null else referrer_host end as referrer_host,
    utm_source,
    utm_medium,
    utm_campaign,
    is_known_bot
from placed
