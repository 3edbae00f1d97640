-- Whole days are counted already; of the day that the 30 days begin in, the events after that moment.
with days as (
    select
        profile_id,
        page_views,
        product_views,
        cart_adds
    from {{ ref('int_profiles__daily_activity') }}
    where event_date > cast({{ days_before(30) }} as date)
    union all
    select
        profile_id,
        {{ count_where("name = 'page'") }} as page_views,
        {{ count_where("name = 'Product Viewed'") }} as product_views,
        {{ count_where("name = 'Product Added'") }} as cart_adds
    from {{ ref('fct_events') }}
    where
        event_date = cast({{ days_before(30) }} as date)
        and effective_at > {{ days_before(30) }}
    group by profile_id
)

select
    profile_id,
    cast(sum(page_views) as bigint) as page_views_30d,
    cast(sum(product_views) as bigint) as product_views_30d,
    cast(sum(cart_adds) as bigint) as cart_adds_30d
from days
where profile_id is not null and profile_id != ''
group by profile_id
