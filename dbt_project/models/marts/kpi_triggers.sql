with placed as (
    select
        trigger_name,
        coalesce(journey_name, '') as journey_name,
        coalesce(message, '') as message,
        is_simulated,
        state,
        delay_seconds,
        row_number() over (
            partition by trigger_name, coalesce(journey_name, ''), coalesce(message, ''), is_simulated
            order by delay_seconds
        ) as place,
        count(*) over (
            partition by trigger_name, coalesce(journey_name, ''), coalesce(message, ''), is_simulated
        ) as row_count
    from {{ ref('fct_trigger_decisions') }}
),

counted as (
    select
        trigger_name,
        journey_name,
        message,
        is_simulated,
        cast(count(*) as bigint) as occasion_count,
        {{ count_where("state = 'held'") }} as held_count,
        {{ count_where("state = 'waiting'") }} as waiting_count,
        {{ count_where("state in ('sent', 'regretted')") }} as sent_count,
        {{ count_where("state = 'cancelled'") }} as cancelled_count,
        {{ count_where("state = 'expired'") }} as expired_count,
        {{ count_where("state = 'regretted'") }} as regretted_count,
        min(case when place * 2 >= row_count then delay_seconds end) as delay_p50_seconds,
        min(case when place * 20 >= row_count * 19 then delay_seconds end) as delay_p95_seconds
    from placed
    group by trigger_name, journey_name, message, is_simulated
)

select
    trigger_name,
    journey_name,
    message,
    is_simulated,
    occasion_count,
    held_count,
    waiting_count,
    sent_count,
    cancelled_count,
    expired_count,
    regretted_count,
    case when sent_count > 0 then cast(regretted_count as double) / sent_count end as regret_share,
    delay_p50_seconds,
    delay_p95_seconds
from counted
