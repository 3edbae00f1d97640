select
    profile_id,
    cast(count(*) as bigint) as order_count,
    min(ordered_at) as first_order_at,
    max(ordered_at) as last_order_at,
    cast(sum(sales_value) as decimal(18, 2)) as lifetime_value
from {{ ref('fct_orders') }}
where profile_id is not null
group by profile_id
