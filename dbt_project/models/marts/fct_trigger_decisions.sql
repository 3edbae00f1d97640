-- A message that was cancelled and went out all the same, because the sync was quicker, is one to be regretted; unless what
-- it was cancelled for happened after the sending, which is what it was sent for.
with first_decisions as (
    select * from {{ ref('stg_triggers__decisions') }}
    where decision in ('fire', 'hold')
),

taken_back as (
    select
        occasion_id,
        decision,
        reasons,
        decided_at,
        coalesce(undone_at, decided_at) as undone_at
    from {{ ref('stg_triggers__decisions') }}
    where decision in ('cancel', 'regret')
),

stated as (
    select
        first_decisions.*,
        deliveries.sent_at,
        taken_back.reasons as taken_back_reasons,
        taken_back.decided_at as taken_back_at,
        case
            when first_decisions.decision = 'hold' then 'held'
            when first_decisions.message is null then 'started'
            when taken_back.decision = 'regret' or taken_back.undone_at <= deliveries.sent_at then 'regretted'
            when deliveries.sent_at is not null then 'sent'
            when taken_back.decision is not null then 'cancelled'
            when first_decisions.expires_at <= {{ as_of() }} then 'expired'
            else 'waiting'
        end as state
    from first_decisions
    left join taken_back on first_decisions.occasion_id = taken_back.occasion_id
    left join {{ ref('stg_triggers__deliveries') }} as deliveries on first_decisions.occasion_id = deliveries.occasion_id
)

select
    stated.occasion_id,
    stated.trigger_name,
    stated.journey_name,
    stated.step_name,
    stated.message,
    profiles.profile_id,
    stated.purpose,
    stated.state,
    case when stated.state != 'sent' then coalesce(stated.taken_back_reasons, stated.reasons) end as reasons,
    stated.occasion_at,
    stated.decided_at,
    stated.not_before,
    stated.expires_at,
    stated.sent_at,
    case when stated.state != 'sent' then stated.taken_back_at end as taken_back_at,
    stated.delay_seconds,
    profiles.is_simulated
from stated
left join {{ ref('int_identity__redirects') }} as redirects on stated.decided_profile_id = redirects.from_profile_id
inner join {{ ref('int_identity__profiles') }} as profiles
    on coalesce(redirects.to_profile_id, stated.decided_profile_id) = profiles.profile_id
