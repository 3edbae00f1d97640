{#-
    The last CTEs and the SELECT of a query that places events of visitors into sessions; `visits` holds all events of each visitor
    in it. More than session_gap_minutes without an event ends a session. A session is called after its first event.
-#}
{% macro placed_into_sessions(visits) -%}
gaps as (
    select
        *,
        lag(effective_at) over (
            partition by visitor
            order by effective_at, receive_position, event_key
        ) as previous_at
    from {{ visits }}
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
    receive_position,
    page_path,
    referrer_host,
    utm_source,
    utm_medium,
    utm_campaign,
    is_known_bot
from placed
{%- endmacro %}
