-- Quintiles among the profiles with orders: 5 is the most recent, the most frequent, the highest value.
-- Equal figures are ordered by profile_id, so that every build gives the same scores.
with scored as (
    select
        profile_id,
        cast(ntile(5) over (order by last_order_at, profile_id) as bigint) as recency_score,
        cast(ntile(5) over (order by order_count, profile_id) as bigint) as frequency_score,
        cast(ntile(5) over (order by lifetime_value, profile_id) as bigint) as monetary_score
    from {{ ref('int_orders__profile_summary') }}
)

select
    profile_id,
    recency_score,
    frequency_score,
    monetary_score,
    case
        when recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4 then 'champions'
        when recency_score >= 3 and frequency_score >= 3 then 'loyal'
        when recency_score >= 4 then 'promising'
        when recency_score = 3 then 'needs_attention'
        when frequency_score >= 4 then 'at_risk'
        when frequency_score = 3 then 'about_to_sleep'
        else 'hibernating'
    end as rfm_segment
from scored
