select
    profiles.profile_id,
    profiles.is_simulated,
    profiles.sources,
    profiles.loyalty_id,
    profiles.user_id,
    profiles.email_token,
    profiles.phone_token,
    profiles.first_seen_at,
    profiles.last_seen_at,
    coalesce(orders.order_count, 0) as order_count,
    orders.first_order_at,
    orders.last_order_at,
    lifecycle.days_since_last_order,
    cast(coalesce(orders.lifetime_value, 0) as decimal(18, 2)) as lifetime_value,
    {{ money_per('orders.lifetime_value', 'nullif(orders.orders_in_currency, 0)') }} as average_order_value,
    coalesce(orders.refund_count, 0) as refund_count,
    cast(coalesce(orders.refunded_value, 0) as decimal(18, 2)) as refunded_value,
    '{{ var("currency") }}' as currency,
    coalesce(orders.order_count - orders.orders_in_currency, 0) as orders_in_other_currencies,
    rfm.recency_score,
    rfm.frequency_score,
    rfm.monetary_score,
    rfm.rfm_segment,
    departments.favourite_department,
    lifecycle.lifecycle_stage,
    coalesce(campaigns.coupons_redeemed, 0) as coupons_redeemed,
    coalesce(campaigns.campaigns_received, 0) as campaigns_received,
    coalesce(emails.emails_delivered_90d, 0) as emails_delivered_90d,
    coalesce(emails.emails_opened_90d, 0) as emails_opened_90d,
    coalesce(emails.emails_clicked_90d, 0) as emails_clicked_90d,
    emails.email_open_rate_90d,
    coalesce(emails.email_engagement, 'none') as email_engagement,
    coalesce(web.page_views_30d, 0) as page_views_30d,
    coalesce(web.product_views_30d, 0) as product_views_30d,
    coalesce(web.cart_adds_30d, 0) as cart_adds_30d,
    churn.churn_score,
    households.age_band,
    households.income_band,
    households.home_ownership,
    households.marital_status,
    households.household_size,
    households.household_composition,
    households.kids_count,
    demographics.household_persons,
    coalesce(demographics.is_household_persons_imputed, false) as is_household_persons_imputed,
    demographics.age_years,
    coalesce(demographics.is_age_years_imputed, false) as is_age_years_imputed,
    consents.has_marketing_consent,
    consents.has_profiling_consent,
    consents.has_sharing_consent,
    consents.is_suppressed,
    {{ as_of() }} as as_of
from {{ ref('int_identity__profiles') }} as profiles
inner join {{ ref('int_profiles__lifecycle') }} as lifecycle on profiles.profile_id = lifecycle.profile_id
inner join {{ ref('int_consent__profile_flags') }} as consents on profiles.profile_id = consents.profile_id
left join {{ ref('int_orders__profile_summary') }} as orders on profiles.profile_id = orders.profile_id
left join {{ ref('int_profiles__rfm') }} as rfm on profiles.profile_id = rfm.profile_id
left join {{ ref('int_profiles__favourite_department') }} as departments
    on profiles.profile_id = departments.profile_id
left join {{ ref('int_profiles__campaign_summary') }} as campaigns on profiles.profile_id = campaigns.profile_id
left join {{ ref('int_profiles__email_engagement') }} as emails on profiles.profile_id = emails.profile_id
left join {{ ref('int_profiles__web_activity') }} as web on profiles.profile_id = web.profile_id
left join {{ ref('int_profiles__churn') }} as churn on profiles.profile_id = churn.profile_id
left join {{ ref('stg_crm__households') }} as households on profiles.loyalty_id = households.household_id
left join {{ ref('int_profiles__demographics') }} as demographics on profiles.profile_id = demographics.profile_id
