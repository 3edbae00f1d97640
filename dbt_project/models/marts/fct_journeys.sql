with placed as (
    select
        *,
        row_number() over (partition by entry_id order by sequence desc) as recency_rank
    from {{ ref('stg_triggers__journey_states') }}
)

select
    placed.entry_id,
    placed.journey_name,
    placed.trigger_name,
    profiles.profile_id,
    placed.step_name is not null as is_active,
    placed.step_name,
    placed.reason as end_reason,
    placed.entered_at,
    placed.state_since,
    placed.due_at,
    profiles.is_simulated
from placed
left join {{ ref('int_identity__redirects') }} as redirects on placed.entered_profile_id = redirects.from_profile_id
inner join {{ ref('int_identity__profiles') }} as profiles
    on coalesce(redirects.to_profile_id, placed.entered_profile_id) = profiles.profile_id
where placed.recency_rank = 1
