with sales as (
    select
        order_date as kpi_date,
        is_simulated,
        currency,
        cast(count(*) as bigint) as order_count,
        sum(sales_value) as sales_value,
        cast(0 as bigint) as refund_count,
        cast(0 as decimal(18, 2)) as refunded_value
    from {{ ref('fct_orders') }}
    group by order_date, is_simulated, currency
),

refunds as (
    select
        refund_date as kpi_date,
        is_simulated,
        currency,
        cast(0 as bigint) as order_count,
        cast(0 as decimal(18, 2)) as sales_value,
        cast(count(*) as bigint) as refund_count,
        coalesce(sum(refund_value), 0) as refunded_value
    from {{ ref('fct_refunds') }}
    group by refund_date, is_simulated, currency
),

both_ways as (
    select * from sales
    union all
    select * from refunds
)

select
    kpi_date,
    is_simulated,
    currency,
    cast(sum(order_count) as bigint) as order_count,
    cast(sum(sales_value) as decimal(18, 2)) as sales_value,
    cast(sum(refund_count) as bigint) as refund_count,
    cast(sum(refunded_value) as decimal(18, 2)) as refunded_value,
    cast(sum(sales_value) - sum(refunded_value) as decimal(18, 2)) as net_sales_value
from both_ways
group by kpi_date, is_simulated, currency
