{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('event_key', ref('int_changes__events'), \"change != 'new'\") }}",
    on_schema_change='fail'
) }}
{% if in_part() %}
with owned as (
    select * from {{ ref('int_changes__events') }}
    where change != 'gone'
)
{% endif %}
{% if in_whole() %}
with owned as (
    select
        events.*,
        profiles.profile_id
    from {{ ref('stg_lake__events') }} as events
    inner join {{ ref('int_identity__event_profiles') }} as profiles on events.event_key = profiles.event_key
)
{% endif %}

select
    event_key,
    source,
    event_id,
    is_simulated,
    profile_id,
    type,
    name,
    occurred_at,
    effective_at,
    received_at,
    event_date,
    is_time_suspect
from owned
