-- Of the e-mails delivered in the 90 days before as_of: how many were opened and clicked, and what that says.
with counted as (
    select
        profile_id,
        cast(count(*) as bigint) as emails_delivered_90d,
        {{ count_where('open_count > 0') }} as emails_opened_90d,
        {{ count_where('click_count > 0') }} as emails_clicked_90d
    from {{ ref('fct_messages') }}
    where
        profile_id is not null
        and delivered_at > {{ days_before(90) }}
    group by profile_id
),

rated as (
    select
        *,
        cast(emails_opened_90d as double) / cast(emails_delivered_90d as double) as email_open_rate_90d
    from counted
)

select
    profile_id,
    emails_delivered_90d,
    emails_opened_90d,
    emails_clicked_90d,
    email_open_rate_90d,
    case
        when emails_opened_90d = 0 and emails_clicked_90d = 0 then 'none'
        when email_open_rate_90d >= {{ var('high_open_rate') }} then 'high'
        when email_open_rate_90d >= {{ var('medium_open_rate') }} then 'medium'
        else 'low'
    end as email_engagement
from rated
