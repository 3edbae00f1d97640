with spent as (
    select
        lines.profile_id,
        products.department,
        sum(lines.sales_value) as sales_value
    from {{ ref('fct_order_lines') }} as lines
    inner join {{ ref('dim_products') }} as products on lines.product_id = products.product_id
    where lines.profile_id is not null and products.department is not null
        -- The most money spent can be told within one currency only.
        and lines.currency = '{{ var("currency") }}'
    group by lines.profile_id, products.department
),

ranked as (
    select
        profile_id,
        department,
        row_number() over (partition by profile_id order by sales_value desc, department) as spending_rank
    from spent
)

select
    profile_id,
    department as favourite_department
from ranked
where spending_rank = 1
