-- Amounts of different currencies are not added up: those of the setting `currency` count, and how many orders are in
-- others is said beside them.
select
    profile_id,
    cast(count(*) as bigint) as order_count,
    {{ count_where("currency = '" ~ var("currency") ~ "'") }} as orders_in_currency,
    min(ordered_at) as first_order_at,
    max(ordered_at) as last_order_at,
    cast(
        coalesce(sum(case when currency = '{{ var("currency") }}' then sales_value end), 0) as decimal(18, 2)
    ) as lifetime_value,
    cast(sum(refund_count) as bigint) as refund_count,
    cast(
        coalesce(sum(case when currency = '{{ var("currency") }}' then refunded_value end), 0) as decimal(18, 2)
    ) as refunded_value
from {{ ref('fct_orders') }}
where profile_id is not null
group by profile_id
