select
    touches.event_key as touch_id,
    touches.source,
    touches.is_simulated,
    profiles.profile_id,
    touches.campaign_id,
    coalesce(touches.campaign_type, campaigns.campaign_type) as campaign_type,
    touches.touch_type,
    touches.coupon_upc,
    touches.touched_at
from {{ ref('stg_campaigns__touches') }} as touches
inner join {{ ref('int_identity__event_profiles') }} as profiles on touches.event_key = profiles.event_key
left join {{ ref('stg_crm__campaigns') }} as campaigns on touches.campaign_id = campaigns.campaign_id
