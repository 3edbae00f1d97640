-- What has changed in the lake since the published build, in a build from its file; nothing in a full one. A row that was
-- replaced is in here as gone and as new.
{{ config(materialized='ephemeral') }}
{% set lake = source('lake', 'silver_events') %}

{% if var('increment') %}
select
    *,
    'new' as change
from ({{ envelopes('previous.silver_events_came') }}) as came
union all
select
    *,
    'gone' as change
from ({{ envelopes('previous.silver_events_gone') }}) as gone
{% else %}
select
    *,
    'new' as change
from ({{ envelopes(lake) }}) as nothing
where false
{% endif %}
