{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook="{{ forget('visitor', ref('int_changes__visitors')) }}"
) }}

select
    session_id,
    min(visitor) as visitor,
    min(profile_id) as profile_id,
    case when min(anonymous_id) = max(anonymous_id) then min(anonymous_id) end as anonymous_id,
    {{ sorted_list('source') }} as sources,
    bool_and(is_simulated) as is_simulated,
    bool_or(is_known_bot) as is_bot,
    min(effective_at) as started_at,
    max(effective_at) as ended_at,
    cast(count(*) as bigint) as event_count,
    {{ count_where("name = 'page'") }} as page_views,
    {{ count_where("name = 'Product Viewed'") }} as product_views,
    {{ count_where("name = 'Product Added'") }} as cart_adds
from {{ of_either(ref('int_changes__visits'), ref('int_sessions__events')) }}
group by session_id
