{#- Every row is another profile that there is, and says when and whether it is simulated: one query for all columns. -#}
{% test members_are_profiles(model) %}
select members.profile_id
from {{ model }} as members
left join {{ ref('dim_profiles') }} as profiles on members.profile_id = profiles.profile_id
group by members.profile_id
having
    count(*) > 1
    or max(profiles.profile_id) is null
    or bool_or(members.is_simulated is null or members.as_of is null)
{% endtest %}
