-- The list of segments is the generated macro segment_names().
with memberships as (
    {% for name in segment_names() %}
    select
        '{{ name }}' as segment_name,
        profile_id,
        is_simulated,
        as_of
    from {{ ref('seg_' ~ name) }}
    {{ 'union all' if not loop.last }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as segment_name,
        cast(null as {{ dbt.type_string() }}) as profile_id,
        cast(null as boolean) as is_simulated,
        {{ as_of() }} as as_of
    where false
    {% endfor %}
)

select
    segment_name,
    profile_id,
    is_simulated,
    as_of
from memberships
