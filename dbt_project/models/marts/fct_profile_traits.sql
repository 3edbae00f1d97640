-- In an increment the rows of profiles of which a trait has changed; for the others they are as true at the new moment.
{{ config(
    materialized=increments(),
    incremental_strategy='append',
    pre_hook=["{{ forget('profile_id', ref('int_changes__traits')) }}", "{{ measured_at('as_of') }}"],
    on_schema_change='fail'
) }}
-- The list of traits is the generated macro segment_traits(). Each reads its own column: a step with all of them would be made
-- whole first.
with known as (
    {% for name, is_number in segment_traits() %}
    select
        profile_id,
        '{{ name }}' as trait_name,
        cast(trait_{{ name }} as {{ dbt.type_string() }}) as trait_value,
        {{ 'cast(trait_' ~ name ~ ' as double)' if is_number else 'cast(null as double)' }} as trait_number,
        is_simulated,
        as_of
    from {{ ref('int_segments__profiles') }}
    where trait_{{ name }} is not null
    {{ and_changed('profile_id', ref('int_changes__traits')) }}
    {{ 'union all' if not loop.last }}
    {% else %}
    select
        profile_id,
        profile_id as trait_name,
        profile_id as trait_value,
        cast(null as double) as trait_number,
        is_simulated,
        as_of
    from {{ ref('int_segments__profiles') }}
    where false
    {% endfor %}
)

select
    profile_id,
    trait_name,
    trait_value,
    trait_number,
    is_simulated,
    as_of
from known
