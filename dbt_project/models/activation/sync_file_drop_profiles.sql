-- Only who may be contacted is in here: marketing consent given, not suppressed.
with profiles as (
    select * from {{ ref('dim_profiles') }}
    where has_marketing_consent and not is_suppressed
),

-- One ML model speaks per profile: the first by name, so that several champions never mix their ranks.
spoken as (
    select
        profile_id,
        rank,
        item_id,
        dense_rank() over (partition by profile_id order by model_name) as model_rank
    from {{ ref('fct_recommendations') }}
),

recommended as (
    select
        profile_id,
        max(case when rank = 1 then item_id end) as recommended_item_1,
        max(case when rank = 2 then item_id end) as recommended_item_2,
        max(case when rank = 3 then item_id end) as recommended_item_3
    from spoken
    where model_rank = 1
    group by profile_id
),

clusters as (
    select
        profile_id,
        min(cluster_name) as cluster_name
    from {{ ref('fct_profile_clusters') }}
    group by profile_id
)

select
    profiles.profile_id,
    memberships.segment_name,
    profiles.is_simulated,
    profiles.email_token,
    profiles.lifecycle_stage,
    profiles.rfm_segment,
    profiles.lifetime_value,
    profiles.currency,
    profiles.favourite_department,
    clusters.cluster_name,
    recommended.recommended_item_1,
    recommended.recommended_item_2,
    recommended.recommended_item_3
from {{ ref('fct_segment_memberships') }} as memberships
inner join profiles on memberships.profile_id = profiles.profile_id
left join clusters on profiles.profile_id = clusters.profile_id
left join recommended on profiles.profile_id = recommended.profile_id
