-- Of several ML models that write a churn score the one that scored last speaks; ties go to the name that sorts first.
with scores as (
    select * from {{ ref('fct_profile_scores') }}
),

ranked as (
    select
        profile_id,
        score,
        row_number() over (partition by profile_id order by scored_at desc, model_name) as recency_rank
    from scores
    where score_name = 'churn'
)

select
    profile_id,
    score as churn_score
from ranked
where recency_rank = 1
