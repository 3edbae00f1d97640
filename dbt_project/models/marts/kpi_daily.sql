with sales as (
    select
        order_date as kpi_date,
        is_simulated,
        count(*) as order_count,
        {{ count_where("currency = '" ~ var("currency") ~ "'") }} as orders_in_currency,
        sum(case when currency = '{{ var("currency") }}' then sales_value end) as sales_value,
        count(distinct profile_id) as buying_profiles
    from {{ ref('fct_orders') }}
    group by order_date, is_simulated
),

activity as (
    select
        event_date as kpi_date,
        is_simulated,
        count(nullif(profile_id, '')) as active_profiles,
        cast(sum(page_views) as bigint) as page_views,
        cast(sum(product_views) as bigint) as product_views,
        cast(sum(cart_adds) as bigint) as cart_adds
    from {{ ref('int_profiles__daily_activity') }}
    group by event_date, is_simulated
),

mails as (
    select
        event_date as kpi_date,
        is_simulated,
        count(distinct case when name = 'Email Delivered' then email_id end) as emails_delivered,
        count(distinct case when name = 'Email Opened' then email_id end) as emails_opened,
        count(distinct case when name = 'Email Link Clicked' then email_id end) as emails_clicked
    from {{ ref('stg_email__events') }}
    group by event_date, is_simulated
)

-- Every order and every e-mail is an event too, so that `activity` holds all days.
select
    activity.kpi_date,
    activity.is_simulated,
    cast(coalesce(sales.order_count, 0) as bigint) as order_count,
    cast(coalesce(sales.sales_value, 0) as decimal(18, 2)) as sales_value,
    {{ money_per('sales.sales_value', 'nullif(sales.orders_in_currency, 0)') }} as average_order_value,
    '{{ var("currency") }}' as currency,
    coalesce(sales.order_count - sales.orders_in_currency, 0) as orders_in_other_currencies,
    cast(coalesce(sales.buying_profiles, 0) as bigint) as buying_profiles,
    cast(activity.active_profiles as bigint) as active_profiles,
    activity.page_views,
    activity.product_views,
    activity.cart_adds,
    cast(coalesce(mails.emails_delivered, 0) as bigint) as emails_delivered,
    cast(coalesce(mails.emails_opened, 0) as bigint) as emails_opened,
    cast(coalesce(mails.emails_clicked, 0) as bigint) as emails_clicked
from activity
left join sales on activity.kpi_date = sales.kpi_date and activity.is_simulated = sales.is_simulated
left join mails on activity.kpi_date = mails.kpi_date and activity.is_simulated = mails.is_simulated
