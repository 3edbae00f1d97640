-- Empty in a full build: days of profiles of which events have changed, and what is to be counted of them now: what was
-- counted, with what came and without what went.
{% if in_part() %}
with differences as (
    select
        event_date,
        is_simulated,
        coalesce(profile_id, '') as profile_id,
        name,
        1 as difference
    from {{ ref('int_changes__events') }}
    where change != 'gone'
    union all
    select
        event_date,
        is_simulated,
        coalesce(previous_profile_id, '') as profile_id,
        name,
        -1 as difference
    from {{ ref('int_changes__events') }}
    where change != 'new'
),

counted as (
    select
        event_date,
        is_simulated,
        profile_id,
        sum(difference) as event_count,
        sum(case when name = 'page' then difference else 0 end) as page_views,
        sum(case when name = 'Product Viewed' then difference else 0 end) as product_views,
        sum(case when name = 'Product Added' then difference else 0 end) as cart_adds
    from differences
    group by event_date, is_simulated, profile_id
)

select
    counted.event_date,
    counted.is_simulated,
    counted.profile_id,
    cast(counted.event_count + coalesce(known.event_count, 0) as bigint) as event_count,
    cast(counted.page_views + coalesce(known.page_views, 0) as bigint) as page_views,
    cast(counted.product_views + coalesce(known.product_views, 0) as bigint) as product_views,
    cast(counted.cart_adds + coalesce(known.cart_adds, 0) as bigint) as cart_adds
from counted
left join intermediate.int_profiles__daily_activity as known
    on
        counted.event_date = known.event_date
        and counted.is_simulated = known.is_simulated
        and counted.profile_id = known.profile_id
{% endif %}
{% if in_whole() %}
select
    event_date,
    is_simulated,
    event_key as profile_id
from {{ ref('int_changes__events') }}
where false
{% endif %}
