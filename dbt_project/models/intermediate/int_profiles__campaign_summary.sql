select
    profile_id,
    cast(count(distinct case when touch_type = 'sent' then campaign_id end) as bigint) as campaigns_received,
    {{ count_where("touch_type = 'redeemed'") }} as coupons_redeemed
from {{ ref('fct_campaign_touches') }}
where profile_id is not null
group by profile_id
