{% set of_nobody = "fallback_reason in ('cold_profile', 'no_profiling_consent')" %}
with {{ scores_of_living_profiles(ref('stg_models__recommendations'), of_nobody) }}

select
    chosen.model_name,
    chosen.model_version,
    chosen.profile_id,
    chosen.rank,
    chosen.item_kind,
    chosen.item_id,
    chosen.product_id,
    chosen.score,
    chosen.tier,
    chosen.is_fallback,
    chosen.fallback_reason,
    profiles.is_simulated,
    chosen.scored_at
from chosen
inner join {{ ref('int_identity__profiles') }} as profiles on chosen.profile_id = profiles.profile_id
inner join {{ ref('int_consent__profile_flags') }} as consents on chosen.profile_id = consents.profile_id
where
    chosen.claim_rank = 1
    -- Consent may have been withdrawn since the scoring.
    and (chosen.is_fallback or consents.has_profiling_consent)
