-- Scores were written for the profiles of their time. A profile that was merged away leads on to the one that lives;
-- when both have scores of an ML model, those of the living one hold.
with current_profiles as (
    select
        scores.*,
        coalesce(redirects.to_profile_id, scores.scored_profile_id) as profile_id
    from {{ ref('stg_models__profile_scores') }} as scores
    left join {{ ref('stg_identity__profile_redirects') }} as redirects
        on scores.scored_profile_id = redirects.from_profile_id
),

chosen as (
    select
        *,
        dense_rank() over (
            partition by model_name, profile_id
            order by case when scored_profile_id = profile_id then 0 else 1 end, scored_profile_id
        ) as claim_rank
    from current_profiles
)

select
    chosen.model_name,
    chosen.model_version,
    chosen.profile_id,
    chosen.score_name,
    chosen.score,
    profiles.is_simulated,
    chosen.scored_at
from chosen
inner join {{ ref('int_identity__profiles') }} as profiles on chosen.profile_id = profiles.profile_id
inner join {{ ref('int_consent__profile_flags') }} as consents on chosen.profile_id = consents.profile_id
where
    chosen.claim_rank = 1
    -- Consent may have been withdrawn since the scoring.
    and consents.has_profiling_consent
