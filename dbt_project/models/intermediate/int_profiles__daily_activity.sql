-- What nobody is known to have done has the profile ''.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('(event_date, is_simulated, profile_id)', ref('int_changes__activity')) }}"
) }}
{% if in_part() %}
select * from {{ ref('int_changes__activity') }}
where event_count > 0
{% endif %}
{% if in_whole() %}
select
    event_date,
    is_simulated,
    coalesce(profile_id, '') as profile_id,
    cast(count(*) as bigint) as event_count,
    {{ count_where("name = 'page'") }} as page_views,
    {{ count_where("name = 'Product Viewed'") }} as product_views,
    {{ count_where("name = 'Product Added'") }} as cart_adds
from {{ ref('fct_events') }}
group by event_date, is_simulated, coalesce(profile_id, '')
{% endif %}
