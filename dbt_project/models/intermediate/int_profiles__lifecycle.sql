with profiles as (
    select * from {{ ref('int_identity__profiles') }}
),

orders as (
    select * from {{ ref('int_orders__profile_summary') }}
)

select
    profiles.profile_id,
    {{ whole_days('orders.last_order_at', as_of()) }} as days_since_last_order,
    case
        when orders.profile_id is null then 'prospect'
        when orders.first_order_at > {{ days_before(var('new_days')) }} then 'new'
        when orders.last_order_at > {{ days_before(var('active_days')) }} then 'active'
        when orders.last_order_at > {{ days_before(var('lapsing_days')) }} then 'lapsing'
        else 'lapsed'
    end as lifecycle_stage
from profiles
left join orders on profiles.profile_id = orders.profile_id
