with events as (
    select
        mails.*,
        profiles.profile_id
    from {{ ref('stg_email__events') }} as mails
    inner join {{ ref('int_identity__event_profiles') }} as profiles on mails.event_key = profiles.event_key
)

select
    email_id,
    min(source) as source,
    bool_and(is_simulated) as is_simulated,
    -- An opening can be somebody else's (a forwarded e-mail): the delivery says whose it is.
    coalesce(min(case when name = 'Email Delivered' then profile_id end), min(profile_id)) as profile_id,
    coalesce(min(case when name = 'Email Delivered' then campaign_id end), min(campaign_id)) as campaign_id,
    min(case when name = 'Email Delivered' then effective_at end) as delivered_at,
    min(case when name = 'Email Opened' then effective_at end) as first_opened_at,
    min(case when name = 'Email Link Clicked' then effective_at end) as first_clicked_at,
    {{ count_where("name = 'Email Opened'") }} as open_count,
    {{ count_where("name = 'Email Link Clicked'") }} as click_count
from events
group by email_id
