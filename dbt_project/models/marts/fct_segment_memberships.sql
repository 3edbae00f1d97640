-- The list of segments is the generated macro segment_names().
with memberships as (
    {% for name in segment_names() %}
    select
        '{{ name }}' as segment_name,
        profile_id,
        as_of
    from {{ ref('seg_' ~ name) }}
    {{ 'union all' if not loop.last }}
    {% else %}
    select
        cast(null as {{ dbt.type_string() }}) as segment_name,
        cast(null as {{ dbt.type_string() }}) as profile_id,
        {{ as_of() }} as as_of
    where false
    {% endfor %}
)

select
    memberships.segment_name,
    memberships.profile_id,
    profiles.is_simulated,
    memberships.as_of
from memberships
inner join {{ ref('dim_profiles') }} as profiles on memberships.profile_id = profiles.profile_id
