with {{ scores_of_living_profiles(ref('stg_models__profile_clusters')) }}

select
    chosen.model_name,
    chosen.model_version,
    chosen.profile_id,
    chosen.cluster_id,
    chosen.cluster_name,
    chosen.distinguishing_traits,
    chosen.distance,
    profiles.is_simulated,
    chosen.scored_at
from chosen
inner join {{ ref('int_identity__profiles') }} as profiles on chosen.profile_id = profiles.profile_id
inner join {{ ref('int_consent__profile_flags') }} as consents on chosen.profile_id = consents.profile_id
where
    chosen.claim_rank = 1
    -- Consent may have been withdrawn since the scoring.
    and consents.has_profiling_consent
