-- Empty in a full build: visitors of whom events came or went, or are another's now; whose they were and whose they are.
{% if var('increment') %}
select visits.visitor
from intermediate.int_sessions__events as visits
inner join {{ ref('int_changes__events') }} as changes on visits.event_key = changes.event_key
union
select coalesce(profiles.profile_id, 'anonymous:' || interactions.anonymous_id) as visitor
from {{ ref('int_sessions__interactions') }} as interactions
inner join {{ ref('int_changes__events') }} as changes on interactions.event_key = changes.event_key
inner join {{ ref('int_identity__event_profiles') }} as profiles on interactions.event_key = profiles.event_key
{% else %}
select event_key as visitor
from {{ ref('int_changes__events') }}
where false
{% endif %}
