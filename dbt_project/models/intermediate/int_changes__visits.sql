-- Empty in a full build: the sessions of the visitors in int_changes__visitors, all events of each.
{% if in_part() %}
with known as (
    select * from intermediate.int_sessions__events
    {{ where_changed('visitor', ref('int_changes__visitors')) }}
),

moved as (
    select
        event_key,
        profile_id
    from {{ ref('int_changes__events') }}
    where change = 'moved'
),

events as (
    select
        known.event_key,
        known.source,
        known.is_simulated,
        known.anonymous_id,
        known.type,
        known.name,
        known.effective_at,
        known.receive_position,
        known.page_path,
        known.referrer_host,
        known.utm_source,
        known.utm_medium,
        known.utm_campaign,
        known.is_known_bot,
        case when moved.event_key is null then known.profile_id else moved.profile_id end as profile_id
    from known
    left join moved on known.event_key = moved.event_key
    where known.event_key not in (
        select gone.event_key from {{ ref('int_changes__events') }} as gone where gone.change = 'gone'
    )
    union all by name
    select
        interactions.*,
        changes.profile_id
    from {{ ref('int_sessions__interactions') }} as interactions
    inner join {{ ref('int_changes__events') }} as changes
        on interactions.event_key = changes.event_key and changes.change = 'new'
),

visits as (
    select
        *,
        coalesce(profile_id, 'anonymous:' || anonymous_id) as visitor
    from events
),

{{ placed_into_sessions('visits') }}
{% endif %}
{% if in_whole() %}
with visits as (
    select
        interactions.*,
        changes.profile_id,
        changes.profile_id as visitor
    from {{ ref('int_sessions__interactions') }} as interactions
    inner join {{ ref('int_changes__events') }} as changes on interactions.event_key = changes.event_key
    where false
),

{{ placed_into_sessions('visits') }}
{% endif %}
