with events as (
    {{ json_members(ref('stg_lake__identifies'), 'properties') }}
),

records as (
    {{ json_members(ref('stg_crm__person_records'), 'properties') }}
)

select
    profiles.profile_id,
    events.member_name as trait_name,
    nullif(events.member_json, 'null') as trait_value,
    events.effective_at as valid_from,
    events.received_at as known_at,
    events.receive_position,
    events.event_key as statement_key,
    events.source,
    events.is_simulated
from events
inner join {{ ref('int_identity__event_profiles') }} as profiles on events.event_key = profiles.event_key
where profiles.profile_id is not null
union all
select
    profiles.profile_id,
    records.member_name as trait_name,
    nullif(records.member_json, 'null') as trait_value,
    records.valid_from,
    records.received_at as known_at,
    records.receive_position,
    records.source || '|' || records.record_id as statement_key,
    records.source,
    records.is_simulated
from records
inner join {{ ref('int_identity__record_profiles') }} as profiles
    on records.source = profiles.source and records.record_id = profiles.record_id
