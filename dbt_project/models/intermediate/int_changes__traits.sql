-- Empty in a full build: profiles of which a trait is another than in the published build, and those that came or went.
{% if in_part() %}
select coalesce(now.profile_id, before.profile_id) as profile_id
from {{ ref('int_segments__profiles') }} as now
full outer join previous.int_segments__profiles as before on now.profile_id = before.profile_id
where
    now.profile_id is null
    or before.profile_id is null
    or now.is_simulated is distinct from before.is_simulated
    {%- for name, _ in segment_traits() %}
    or now.trait_{{ name }} is distinct from before.trait_{{ name }}
    {%- endfor %}
{% endif %}
{% if in_whole() %}
select profile_id
from {{ ref('int_segments__profiles') }}
where false
{% endif %}
