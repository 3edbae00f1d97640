select
    profile_id,
    {{ count_where("name = 'page'") }} as page_views_30d,
    {{ count_where("name = 'Product Viewed'") }} as product_views_30d,
    {{ count_where("name = 'Product Added'") }} as cart_adds_30d
from {{ ref('fct_events') }}
where
    profile_id is not null
    and effective_at > {{ days_before(30) }}
group by profile_id
