with catalog as (
    select * from {{ ref('stg_catalog__products') }}
),

sold as (
    select
        lines.product_id,
        min(orders.source) as source,
        bool_and(orders.is_simulated) as is_simulated
    from {{ ref('int_orders__lines') }} as lines
    inner join {{ ref('stg_pos__orders') }} as orders on lines.event_key = orders.event_key
    group by lines.product_id
)

select
    product_id,
    manufacturer_id,
    department,
    brand,
    product_category,
    product_type,
    package_size,
    true as is_in_catalog,
    source,
    is_simulated
from catalog
union all
select
    sold.product_id,
    cast(null as {{ dbt.type_string() }}) as manufacturer_id,
    cast(null as {{ dbt.type_string() }}) as department,
    cast(null as {{ dbt.type_string() }}) as brand,
    cast(null as {{ dbt.type_string() }}) as product_category,
    cast(null as {{ dbt.type_string() }}) as product_type,
    cast(null as {{ dbt.type_string() }}) as package_size,
    false as is_in_catalog,
    sold.source,
    sold.is_simulated
from sold
left join catalog on sold.product_id = catalog.product_id
where catalog.product_id is null
