{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('event_key', ref('int_changes__events')) }}",
    on_schema_change='fail'
) }}
select
    events.event_key,
    events.source,
    events.event_id,
    events.is_simulated,
    profiles.profile_id,
    events.type,
    events.name,
    events.occurred_at,
    events.effective_at,
    events.received_at,
    events.event_date,
    events.is_time_suspect
from {{ events_or_changed(ref('stg_lake__events'), ref('int_changes__events')) }} as events
inner join {{ ref('int_identity__event_profiles') }} as profiles on events.event_key = profiles.event_key
